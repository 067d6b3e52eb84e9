"""The files that `afterword init` and `afterword demo` write."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

READY: Final = "ready"


def pipelines() -> str:
    """A commented pipelines file that loads as it is."""
    return _text("pipelines.toml")


def env() -> str:
    """A commented `.env` with every setting; only the key must be filled in."""
    return _text("env")


def demo() -> str:
    """The pipelines of the demonstration."""
    return _text("demo.toml")


def kinds() -> Sequence[str]:
    """What there are ready pipelines for."""
    return sorted(each.name for each in _here().joinpath(READY).iterdir() if each.is_dir())


def ready(kind: str) -> Mapping[str, str]:
    """A pipelines file for that kind of recordings and all that lies beside it, by relative path."""
    return dict(_files(_here().joinpath(READY, kind), ""))


def _files(folder: Traversable, below: str) -> Iterator[tuple[str, str]]:
    for each in sorted(folder.iterdir(), key=lambda found: found.name):
        if each.is_dir():
            yield from _files(each, f"{below}{each.name}/")
        else:
            yield f"{below}{each.name}", each.read_text(encoding="utf-8")


def _text(name: str) -> str:
    return _here().joinpath(name).read_text(encoding="utf-8")


def _here() -> Traversable:
    return resources.files(__package__)
