"""What lies in a folder, without opening anything."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.adapters.drops.names import printable, unwanted
from service.domain.errors import Problem, Refused

SIDECARS: Final = ("", "-wal", "-shm", "-journal", ".lock")
"""What a store or a log keeps beside a file of its own."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a glance tells of a file's content: another stamp, maybe another content."""

    size: int
    mtime_ns: int
    device: int
    inode: int

    @classmethod
    def of(cls, info: os.stat_result) -> "Stamp":
        return cls(info.st_size, info.st_mtime_ns, info.st_dev, info.st_ino)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file. `touched`: when its content or its place last changed, by the file system, epoch seconds."""

    key: str
    stamp: Stamp
    touched: float


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is left alone, and why. `unreadable`: it would be looked at if we only could."""

    key: str
    reason: str
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """A folder in the folder."""

    key: str


class Grounds:
    """A folder and what in it is ours to look at.

    Keys are paths relative to the folder, joined by `/`. What is in `exclude` (results, events, the job store), with
    what is kept beside it, is passed over without a word. A link to a file inside the folder is that file under the
    link's own name; links that lead out, and links to folders, are left alone.
    """

    def __init__(self, folder: Path, exclude: Sequence[Path] = ()) -> None:
        """Raises Refused when an excluded place is, or contains, the folder: results would come in as recordings."""
        self.root = folder.resolve()
        places = [path.resolve() for path in exclude]
        problems = [
            Problem(
                place=str(place),
                what=f"is, or contains, the folder where recordings arrive ({self.root}), so that what is written "
                "there would come in as new recordings",
                cure="choose a place beside that folder, or deeper inside it",
            )
            for place in places
            if self.root.is_relative_to(place)
        ]
        if problems:
            raise Refused(problems)
        self._excluded = frozenset(f"{place}{sidecar}" for place in places for sidecar in SIDECARS)

    def path(self, key: str) -> Path:
        return self.root / key

    def key(self, path: str) -> str | None:
        """The key of an absolute path; empty for the folder itself, None outside of it."""
        root = str(self.root)
        if path == root:
            return ""
        return path[len(root) + 1 :] if path.startswith(f"{root}/") else None

    def look(self, key: str) -> Found | Left | Branch | None:
        """What stands at `key` now; None if there is nothing, or nothing that is told of under this key."""
        path = self.path(key)
        if self._ours(str(path)):
            return None
        try:
            if any(self.path(parent).is_symlink() for parent in _parents(key)):
                return None
            return self._judged(key, path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return Left(key, words(error), unreadable=True)

    def walk(self, under: str = "") -> Iterator[Found | Left]:
        """All that stands below the folder `under`, in no order, never holding more than one entry a level.

        Raises OSError when `under` cannot be listed; folders deeper down that cannot are Left.
        """
        with ExitStack() as opened:
            levels = [(opened.enter_context(os.scandir(self.path(under))), under and f"{under}/")]
            while levels:
                entries, prefix = levels[-1]
                entry = next(entries, None)
                if entry is None:
                    entries.close()
                    levels.pop()
                    continue
                found = self._entered(prefix + entry.name, entry)
                if isinstance(found, Branch):
                    try:
                        levels.append((opened.enter_context(os.scandir(entry.path)), f"{found.key}/"))
                    except OSError as error:
                        yield Left(found.key, words(error), unreadable=True)
                elif found is not None:
                    yield found

    def _entered(self, key: str, entry: "os.DirEntry[str]") -> Found | Left | Branch | None:
        if self._ours(entry.path):
            return None
        try:
            return self._judged(key, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None
        except OSError as error:
            return Left(key, words(error), unreadable=True)

    def _judged(self, key: str, info: os.stat_result) -> Found | Left | Branch | None:
        refused = unwanted(key)
        if refused is not None:
            return Left(*refused)
        if stat.S_ISLNK(info.st_mode):
            return self._linked(key)
        if stat.S_ISDIR(info.st_mode):
            return Branch(key)
        return _file(key, info)

    def _linked(self, key: str) -> Found | Left:
        try:
            real = self.path(key).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError, RuntimeError):
            # Before Python 3.13 a loop of links is a RuntimeError.
            return Left(key, "a link that leads nowhere")
        if not real.is_relative_to(self.root) or self._ours(str(real)):
            return Left(key, "a link that leads out of the folder")
        info = real.lstat()
        return Left(key, "a link to a folder") if stat.S_ISDIR(info.st_mode) else _file(key, info)

    def _ours(self, path: str) -> bool:
        """Whether it is, or lies in, a place that is excluded."""
        while len(path) > len(str(self.root)):
            if path in self._excluded:
                return True
            path = path.rpartition("/")[0]
        return False


def waiting(folder: Path, exclude: Sequence[Path] = ()) -> Iterator[tuple[str, int]]:
    """Key and size (bytes) of each file in the folder that would be taken as a recording; none if it is missing.

    Holds no more than one entry a level. Raises Refused as Grounds does, OSError when the folder cannot be listed.
    """
    grounds = Grounds(folder, exclude)
    if not grounds.root.exists():
        return
    for found in grounds.walk():
        if isinstance(found, Found) and found.stamp.size:
            yield found.key, found.stamp.size


def words(error: OSError) -> str:
    """What the operating system says of it, where it can without the path."""
    return error.strerror or printable(str(error)) or type(error).__name__


def _file(key: str, info: os.stat_result) -> Found | Left:
    if not stat.S_ISREG(info.st_mode):
        return Left(key, "not a regular file")
    return Found(key, Stamp.of(info), max(info.st_mtime, info.st_ctime))


def _parents(key: str) -> Iterator[str]:
    parent = key.rpartition("/")[0]
    while parent:
        yield parent
        parent = parent.rpartition("/")[0]
