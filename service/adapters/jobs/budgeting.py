"""How a model's window is written down, whichever engine keeps it."""

from dataclasses import asdict

import orjson

from service.domain.models.allowance import Window


def written(window: Window) -> str:
    """The window as JSON."""
    return orjson.dumps(asdict(window)).decode()


def read(document: str | bytes) -> Window:
    """The window; what a newer version added to it is left out, for the vendor's answers soon tell it anew."""
    said = orjson.loads(document)
    return Window(**{name: said[name] for name in Window.__dataclass_fields__ if name in said})
