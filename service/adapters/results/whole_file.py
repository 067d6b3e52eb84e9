"""Files that are there whole or not at all, and that the first writer keeps; all within one open folder.

Every function raises OSError.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

LOCK_WAIT: Final = 5.0
"""Seconds that a writer waits for another in the same folder, where links are not supported."""

UNFINISHED: Final = ".part"
UNSUPPORTED: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK})

READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(folder: int, name: str, body: bytes) -> bool:
    """Put `body` there unless `name` stands already; False if so. On the disk after `settle(folder)`."""
    # Whole under another name first, then linked to its own, which fails if that stands.
    with unfinished(folder) as (part, file):
        write(file, body)
        os.fsync(file)
        return place_new(folder, part, name)


def place_new(folder: int, part: str, name: str) -> bool:
    """Give what is whole its own name unless that stands already; False if so. On the disk after `settle(folder)`."""
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return _rename_new(folder, part, name)
    return True


def open_regular(folder: int, name: str) -> int:
    """A plain file, open for reading; a link, a folder or a device of that name raises."""
    file = os.open(name, READING, dir_fd=folder)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))


def stands(folder: int, name: str) -> bool:
    """Whether a plain file of that name is there; anything else of that name raises."""
    try:
        os.close(open_regular(folder, name))
    except FileNotFoundError:
        return False
    return True


def settle(folder: int) -> None:
    """The names in the folder outlive a power cut."""
    try:
        os.fsync(folder)
    except OSError as error:
        # Network file systems that have no such call keep their names on the server.
        if error.errno not in UNSUPPORTED:
            raise


def remove_unfinished(folder: int) -> None:
    """What a crash left here. A file that is still being written is locked; one that resists does no harm."""
    for name in os.listdir(folder):
        if not (name.startswith(".") and name.endswith(UNFINISHED)):
            continue
        with suppress(OSError):
            file = open_regular(folder, name)
            try:
                if _lock(file):
                    os.unlink(name, dir_fd=folder)
            finally:
                os.close(file)


@contextmanager
def unfinished(folder: int) -> Iterator[tuple[str, int]]:
    """A new hidden file, locked as long as its writer lives; gone afterwards, but not after a crash."""
    while True:
        part = f".{secrets.token_hex(8)}{UNFINISHED}"
        file = os.open(part, WRITING, 0o666, dir_fd=folder)
        # Between the two calls somebody may have taken it for a leftover, or be about to: then the lock is theirs.
        if _lock(file) and os.fstat(file).st_nlink:
            break
        os.close(file)
    try:
        yield part, file
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        os.close(file)


def write(file: int, body: bytes) -> None:
    """All of it, at the end of what was written before."""
    left = memoryview(body)
    while left:
        left = left[os.write(file, left) :]


def _rename_new(folder: int, part: str, name: str) -> bool:
    """For folders without links: a rename would replace, so look and rename under a lock of the folder."""
    lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        until = time.monotonic() + LOCK_WAIT
        while not _lock(lock):
            if time.monotonic() > until:
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            time.sleep(0.01)
        if stands(folder, name):
            return False
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        return True
    finally:
        os.close(lock)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
