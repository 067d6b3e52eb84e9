"""Where in the pipelines file it is written what a model is asked, for whoever finds fault once the file was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.domain.pipelines.shape import Source, inside
from service.domain.pipelines.toml_lines import Path


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A place in the file, as problems name it, and its line. `own`: what stands there is that prompt's alone."""

    place: str
    line: int
    own: bool


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """Finds keys by the names of pipeline and prompt. Without `source` it only says what they are a part of."""

    source: Source | None = None

    def prompt(self, pipeline: str, prompt: str) -> str:
        return f"pipelines[{pipeline}].prompts[{prompt}]"

    def of(self, pipeline: str, prompt: str, keys: Sequence[str]) -> Spot:
        """Where the first of `keys` is written that the prompt has, else that it inherits; else the prompt."""
        if self.source is None:
            return self._unread(pipeline, prompt, keys)
        own = self._path(self.source, pipeline, prompt)
        for table in (own, ("defaults",)):
            for key in keys:
                if inside(self.source.document, (*table, key)) is not None:
                    return self._spot(self.source, (*table, key), own)
        return self._spot(self.source, own, own)

    def fallback(self, pipeline: str, prompt: str, number: int, model: str, keys: Sequence[str]) -> Spot:
        """The same within a fallback of the prompt, counted from 0; else the fallback itself, which names `model`."""
        if self.source is None:
            return self._unread(pipeline, prompt, [f"fallbacks[#{number + 1}]"])
        own = self._path(self.source, pipeline, prompt)
        listed = (*own, "fallbacks")
        if inside(self.source.document, listed) is None:
            listed = ("defaults", "fallbacks")
        entry = (*listed, number)
        found = inside(self.source.document, entry)
        written = [key for key in keys if isinstance(found, Mapping) and key in found]
        return self._spot(self.source, (*entry, *written[:1]), own, tag=model)

    def _path(self, source: Source, pipeline: str, prompt: str) -> Path:
        pipelines = source.document.get("pipelines", [])
        at = _named(pipelines, pipeline)
        return ("pipelines", at, "prompts", _named(pipelines[at]["prompts"], prompt))

    def _spot(self, source: Source, path: Path, own: Path, tag: str | None = None) -> Spot:
        return Spot(place=source.place(path, tag), line=source.lines.of(path, tag), own=path[: len(own)] == own)

    def _unread(self, pipeline: str, prompt: str, keys: Sequence[str]) -> Spot:
        return Spot(place=".".join([self.prompt(pipeline, prompt), *keys[:1]]), line=0, own=True)


NOWHERE: Final = Whereabouts()
"""Of pipelines that were not read from a file."""


def _named(tables: Sequence[Mapping[str, Any]], name: str) -> int:
    return next(at for at, table in enumerate(tables) if table.get("name") == name)
