"""Results in a folder of this machine, or one that is mounted on it."""

import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from service.adapters.results.growing import Growing
from service.adapters.results.whole_file import open_regular, remove_unfinished, settle, stands, write_new
from service.domain.errors import StorageTrouble
from service.domain.identity import file_uri

LARGEST: Final = 512 * 1024 * 1024
"""Bytes of a file that `get` reads at most."""

THREADS: Final = 8
"""Calls to the disk at once; a folder that hangs must not take the threads of everything else."""

IN_THE_WAY: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO})
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

# The root itself may be a link: whoever sets the service up decides where it leads. Nothing below it may.
ROOT: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
BELOW: Final = ROOT | os.O_NOFOLLOW


class FolderResults:
    """ports.Results over the folder `root`, which is made when first needed.

    From then on it must stay the same folder. Were another one taken for it (a volume that is not mounted any more),
    all that was paid for would seem not to be there, and would be paid for again.

    Every name below the root is opened from the folder above it and never through a link, so nothing can be written
    or read outside, whatever is put in the way meanwhile.
    """

    def __init__(self, root: Path, *, largest: int = LARGEST) -> None:
        self._root = root.absolute()
        self._largest = largest
        self._threads = anyio.CapacityLimiter(THREADS)
        self._identity: tuple[int, int] | None = None

    async def put_new(self, key: str, body: bytes, media_type: str) -> bool:  # noqa: ARG002 - a folder keeps no types
        """On the disk once it returns, also when another was first. Raises Unavailable; ValueError for a bad key."""
        return await to_thread.run_sync(self._put_new, key, body, limiter=self._threads)

    async def put_new_stream(self, key: str, pieces: AsyncIterator[bytes], media_type: str) -> bool:  # noqa: ARG002
        """As `put_new`; raises what `pieces` raises. Until it returns nothing stands under the key."""
        growing = await to_thread.run_sync(self._begun, key, limiter=self._threads)
        try:
            async for piece in pieces:
                await to_thread.run_sync(self._grown, key, growing, piece, limiter=self._threads)
            return await to_thread.run_sync(self._placed, key, growing, limiter=self._threads)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(growing.close, limiter=self._threads)

    async def get(self, key: str) -> bytes | None:
        """Raises Unavailable, also for what is too large to be ours; ValueError for a bad key."""
        return await to_thread.run_sync(self._get, key, limiter=self._threads)

    async def has(self, key: str) -> bool:
        """Raises Unavailable; ValueError for a bad key."""
        return await to_thread.run_sync(self._has, key, limiter=self._threads)

    def uri(self, key: str) -> str:
        """The `file://` URI, percent-encoded."""
        return file_uri(f"{self._root}/{key}")

    def _put_new(self, key: str, body: bytes) -> bool:
        *folders, name = _names(key)
        with self._told(key), self._opened(folders, make=True) as folder:
            remove_unfinished(folder)
            first = not stands(folder, name) and write_new(folder, name, body)
            # The loser too: what it reads and acts on must not be gone after a power cut.
            settle(folder)
            return first

    def _begun(self, key: str) -> Growing:
        *folders, name = _names(key)
        with self._told(key):
            return Growing.begun(self._opened(folders, make=True), name)

    def _grown(self, key: str, growing: Growing, piece: bytes) -> None:
        with self._told(key):
            growing.write(piece)

    def _placed(self, key: str, growing: Growing) -> bool:
        with self._told(key):
            return growing.place()

    def _get(self, key: str) -> bytes | None:
        *folders, name = _names(key)
        with (
            self._told(key),
            suppress(FileNotFoundError),
            self._opened(folders, make=False) as folder,
            os.fdopen(open_regular(folder, name), "rb") as file,
        ):
            size = os.fstat(file.fileno()).st_size
            if size > self._largest:
                raise StorageTrouble(f"{self._root}/{key} has {size} bytes, too many to be ours; move it away")
            return file.read()
        return None

    def _has(self, key: str) -> bool:
        *folders, name = _names(key)
        with self._told(key), suppress(FileNotFoundError), self._opened(folders, make=False) as folder:
            return stands(folder, name)
        return False

    @contextmanager
    def _opened(self, folders: list[str], *, make: bool) -> Iterator[int]:
        current = self._open_root(make=make)
        try:
            for name in folders:
                below = _open_below(current, name, make=make)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def _open_root(self, *, make: bool) -> int:
        try:
            root = _open_root(self._root, make=make and self._identity is None)
        except FileNotFoundError as error:
            if self._identity is None:
                raise
            raise StorageTrouble(self._gone()) from error
        found = os.fstat(root)
        identity = (found.st_dev, found.st_ino)
        if self._identity not in {None, identity}:
            os.close(root)
            raise StorageTrouble(self._gone())
        self._identity = identity
        return root

    def _gone(self) -> str:
        return f"the results folder {self._root} was taken away; bring it back, or restart to go on with what is there"

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageTrouble(self._sentence(key, error)) from error

    def _sentence(self, key: str, error: OSError) -> str:
        if error.errno in IN_THE_WAY:
            return f"{self._root}/{key} cannot be reached: a link or a file stands where a folder belongs; remove it"
        if error.errno in FULL:
            return f"the results folder {self._root} is full; make room and the work goes on by itself"
        if error.errno in FORBIDDEN:
            return f"the results folder {self._root} may not be read or written; give the service the right to it"
        return f"the results folder {self._root} does not work ({os.strerror(error.errno or 0)}); check the disk"


def _names(key: str) -> list[str]:
    names = key.split("/")
    if {"", ".", ".."} & set(names) or "\0" in key:
        raise ValueError(f"not a safe key for a result: {key!r}")
    return names


def _open_root(root: Path, *, make: bool) -> int:
    try:
        return os.open(root, ROOT)
    except FileNotFoundError:
        if not make:
            raise
    root.mkdir(parents=True, exist_ok=True)
    above = os.open(root.parent, ROOT)
    try:
        settle(above)
    finally:
        os.close(above)
    return os.open(root, ROOT)


def _open_below(above: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, BELOW, dir_fd=above)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=above)
    settle(above)
    return os.open(name, BELOW, dir_fd=above)
