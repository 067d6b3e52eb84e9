"""Where the text of each setting comes from: the environment, then the `.env` file, each secret also from a file."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from service.domain.errors import Problem
from service.domain.spelling import did_you_mean

PREFIX: Final = "AFTERWORD_"
SUFFIX: Final = "_FILE"

LARGEST_SECRET: Final = 64 * 1024
LARGEST_DOTENV: Final = 1024 * 1024
"""Bytes."""


class Texts:
    """The text of each variable; what is wrong is gathered in `problems` and `warnings`."""

    def __init__(self, environ: Mapping[str, str], dotenv: Path | None) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        written = self._dotenv(dotenv) if dotenv is not None else {}
        self._layers: Sequence[Mapping[str, str]] = (environ, written)

    def get(self, name: str, *, secret: bool) -> str | None:
        """The text, blanks around it taken off; None if unset or empty. The first source that knows it wins whole."""
        for layer in self._layers:
            if name in layer or (secret and name + SUFFIX in layer):
                text = layer.get(name, "").strip()
                file = layer.get(name + SUFFIX, "").strip() if secret else ""
                if text and file:
                    self._bad(name, f"it is set, and so is {name}{SUFFIX}", "set only one of the two")
                    return None
                return self._read(name, file) if file else text or None
        return None

    def unknown(self, known: Mapping[str, bool]) -> Sequence[Problem]:
        """Variables with our prefix that mean nothing. `known` tells of each name whether it is a secret."""
        names = {name for layer in self._layers for name in layer if name.startswith(PREFIX)}
        files = {name + SUFFIX for name, secret in known.items() if secret}
        return [_unknown(name, [*known, *files]) for name in sorted(names - known.keys() - files)]

    def written(self, prefix: str) -> Mapping[str, str]:
        """What the `.env` file says of variables that begin so; empty ones are left out."""
        return {
            name: text.strip() for name, text in self._layers[1].items() if name.startswith(prefix) and text.strip()
        }

    def _bad(self, place: str, what: str, cure: str) -> None:
        self.problems.append(Problem(place=place, what=what, cure=cure))

    def _read(self, name: str, file: str) -> str | None:
        place = name + SUFFIX
        try:
            with Path(file).open("rb") as opened:
                content = opened.read(LARGEST_SECRET + 1)
            text = content.decode().strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
            self._bad(place, f"the file cannot be read ({why})", "name a file that holds the secret and nothing else")
            return None
        if not text or len(content) > LARGEST_SECRET:
            what = "the file is empty" if not text else f"the file is larger than {LARGEST_SECRET} bytes"
            self._bad(place, what, "name a file that holds the secret and nothing else")
            return None
        return text

    def _dotenv(self, path: Path) -> Mapping[str, str]:
        try:
            with path.open("rb") as opened:
                content = opened.read(LARGEST_DOTENV + 1)
            text = content.decode("utf-8-sig")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
            self._bad(path.name, f"the file cannot be read ({why})", "mend it, or move it away")
            return {}
        if len(content) > LARGEST_DOTENV:
            self._bad(path.name, f"the file is larger than {LARGEST_DOTENV} bytes", "keep settings in it alone")
            return {}
        found: dict[str, str] = {}
        for binding in parse_stream(io.StringIO(text)):
            before = binding.original.string[: -len(binding.original.string.lstrip()) or None]
            place = f"{path.name}:{binding.original.line + before.count(chr(10))}"
            if binding.error or (binding.key is not None and binding.value is None):
                # Only told: the line may be meant for another program. Its text may be a secret and is not shown.
                self.warnings.append(Problem(place=place, what="the line sets nothing", cure="write it as NAME=value"))
            elif binding.key is not None:
                found[binding.key] = binding.value or ""
        return found


def _unknown(name: str, known: Iterable[str]) -> Problem:
    near = did_you_mean(name, known)
    cure = f"did you mean {near}?" if near else "take it out, or look for its name in the settings table"
    return Problem(place=name, what="there is no such setting", cure=cure)
