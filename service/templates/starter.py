"""The files that `afterword init` and `afterword demo` write."""

from importlib import resources


def pipelines() -> str:
    """A commented pipelines file that loads as it is."""
    return _text("pipelines.toml")


def env() -> str:
    """A commented `.env` with every setting; only the key must be filled in."""
    return _text("env")


def demo() -> str:
    """The pipelines of the demonstration."""
    return _text("demo.toml")


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
