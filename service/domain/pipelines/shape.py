"""The shape of a pipelines file: unknown keys and values of the wrong kind, and what is left without them."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.domain.errors import Problem
from service.domain.pipelines.raw import (
    RawDefaults,
    RawFallback,
    RawFallbackConfig,
    RawFile,
    RawLimit,
    RawMessage,
    RawOutputs,
    RawPipeline,
    RawPrompt,
    RawSpeech,
)
from service.domain.pipelines.toml_lines import Lines, Path
from service.domain.spelling import did_you_mean, shown

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attributes": 'sentiment = "answers.sentiment"` below `[pipelines.attributes]',
        "audio_hours": "audio_hours = 200",
        "cache_control": 'cache_control = { type = "ephemeral" }',
        "captions": 'captions = ["srt", "vtt"]',
        "combine": "combine = true",
        "content": 'content = "{{ transcript }}"',
        "defaults": "[defaults]",
        "dollars": "dollars = 50.0",
        "depth": "depth = 2",
        "fallback_language": 'fallback_language = "en"',
        "fallback_config": "fallback_config = { retry = true, depth = 2 }",
        "fallbacks": 'fallbacks = ["gemini-2.5-flash"]',
        "keep_transcript": "keep_transcript = true",
        "match": 'match = ["calls/**/*.mp3"]',
        "max_tokens": "max_tokens = 1000",
        "messages": 'messages = [{ role = "user", content = "{{ transcript }}" }]',
        "model": 'model = "claude-sonnet-4-6"',
        "monthly_limit": "monthly_limit = { dollars = 50.0 }",
        "name": 'name = "support-calls"` with only a-z, 0-9, `_`, `-`, beginning with a letter or digit, at most 64',
        "outputs": 'outputs = { captions = ["srt"] }',
        "pipelines": "[[pipelines]]",
        "prompt": 'prompt = "Summarize: {{ transcript }}"',
        "prompt_file": 'prompt_file = "prompts/summary.md"',
        "prompts": "[[pipelines.prompts]]",
        "requests": "requests = 10_000",
        "required": "required = false",
        "schema": 'schema = "schemas/triage.json"',
        "speakers": 'speakers = { A = "Agent", B = "Customer" }',
        "speech": "speech = { timestamps = true }",
        "role": 'role = "user"` (or system, or assistant)',
        "temperature": "temperature = 0.0",
        "timestamps": "timestamps = true",
        "transcript": "[pipelines.transcript]",
    }
)
"""How each key is written; a final backtick is added where the example has none."""

_TABLES: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {
        "defaults": RawDefaults,
        "fallback_config": RawFallbackConfig,
        "fallbacks": RawFallback,
        "messages": RawMessage,
        "monthly_limit": RawLimit,
        "outputs": RawOutputs,
        "pipelines": RawPipeline,
        "prompts": RawPrompt,
        "speech": RawSpeech,
    }
)


_FREE: Final[frozenset[str | int]] = frozenset(
    {"attributes", "cache_control", "post_processing_steps", "reasoning", "response_format", "schema", "transcript"}
)
"""Tables whose keys are not ours, so that our examples do not fit them."""

_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bool_type": "must be true or false",
        "dict_type": "must be a table",
        "finite_number": "must be a finite number",
        "float_type": "must be a number",
        "greater_than": "must be above {gt:g}",
        "greater_than_equal": "must be at least {ge:g}",
        "int_from_float": "must be a whole number",
        "int_type": "must be a whole number",
        "less_than_equal": "must be at most {le:g}",
        "list_type": "must be a list in brackets",
        "literal_error": "must be {expected}",
        "model_type": "must be a table",
        "string_too_short": "is empty",
        "string_type": "must be text in quotes",
    }
)
"""What is expected, by pydantic's type of error."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file as it was read: its name, its lines and its tables."""

    name: str
    lines: Lines
    document: Mapping[str, Any]

    def problem(self, path: Path, what: str, cure: str, tag: str | None = None) -> Problem:
        return Problem(place=self.place(path, tag), what=what, cure=cure)

    def place(self, path: Path, tag: str | None = None) -> str:
        """`pipelines.toml:12 pipelines[support-calls].match`; `tag` as for the line of it."""
        return f"{self.name}:{self.lines.of(path, tag)} {self.written(path)}".rstrip()

    def written(self, path: Path) -> str:
        """`pipelines[support-calls].prompts[summary].model`; what has no name is counted from 1."""
        parts: list[str] = []
        value: Any = self.document
        for step in path:
            value = _inside(value, step)
            if isinstance(step, str):
                shown_step = "".join(each if each.isprintable() else "�" for each in step)[:64]
                parts.append(f".{shown_step}" if parts else shown_step)
            else:
                name = value.get("name") if isinstance(value, dict) else None
                parts.append(f"[{name[:64] if isinstance(name, str) and name.isprintable() else f'#{step + 1}'}]")
        return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Shaped:
    """What of the file has a shape. `dropped` are the places that had none; nothing there counts as missing."""

    file: RawFile
    problems: Sequence[Problem]
    dropped: frozenset[Path]


def shape(source: Source) -> Shaped:
    """Never raises: what cannot be read is dropped, so that the rest can be checked in the same go."""
    document = copy.deepcopy(dict(source.document))
    problems: list[Problem] = []
    dropped: set[Path] = set()
    while True:
        try:
            file = RawFile.model_validate(document)
        except ValidationError as error:
            # Errors of one value (a choice of kinds tried in turn) share its place and are told once.
            for path, detail in {_place(each["loc"], document): each for each in error.errors()}.items():
                problems.append(_problem(source, path, detail))
                gone = _drop(document, path)
                dropped.add(gone)
        else:
            return Shaped(file=file, problems=tuple(problems), dropped=frozenset(dropped))


def inside(document: Mapping[str, Any], path: Path) -> Any:
    """What stands at `path`; None if nothing does."""
    value: Any = document
    for step in path:
        value = _inside(value, step)
    return value


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return value[step]
    return None


def _place(loc: tuple[str | int, ...], document: Mapping[str, Any]) -> Path:
    """The place of an error in the document: pydantic's own steps (the kinds of a choice) are no places."""
    path: Path = ()
    value: Any = document
    for step in loc:
        inner = _inside(value, step)
        if inner is None:
            break
        path, value = (*path, step), inner
    return path


def _drop(document: dict[str, Any], path: Path) -> Path:
    """Take out the key that `path` leads to or through; elements stay in their arrays, so that counts stay true."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    table: Any = document
    for step in path[:-1]:
        table = _inside(table, step)
    if isinstance(table, dict):
        table.pop(path[-1], None)
    return path


def _problem(source: Source, path: Path, error: ErrorDetails) -> Problem:
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if error["type"] == "extra_forbidden":
        return source.problem(path, f"there is no key {shown(key)} here", _other_key(path, key))
    expected = _expected(error)
    free = _FREE & set(path[:-1])
    if key == "name" and not free:
        expected = "is no name"
    if key == "fallbacks" and error["type"] == "model_type":
        expected = "must be a model's name or a table"
    example = EXAMPLES.get("attributes" if "attributes" in free else key)
    cure = "take it out, or write what AssemblyAI documents"
    if example is not None and free <= {"attributes"}:
        cure = f"write it like `{example}{'' if example.count('`') % 2 else '`'}"
    subject = f"`{key}`" if path and path[-1] == key else f"an entry of `{key}`"
    return source.problem(path, f"{subject} {expected}", cure)


def _expected(error: ErrorDetails) -> str:
    return _EXPECTED.get(error["type"], "cannot be sent as JSON").format(**error.get("ctx", {}))


def _other_key(path: Path, key: str) -> str:
    table = next((_TABLES[step] for step in reversed(path[:-1]) if isinstance(step, str) and step in _TABLES), RawFile)
    if table is RawFallback and key == "messages":
        return "take it out: a fallback is asked the prompt's own messages"
    if key in {"stream", "tools", "tool_choice", "transcript_id"}:
        return "take it out: the service sees to how the LLM Gateway is asked"
    known = _keys(table)
    near = did_you_mean(key, known)
    if near:
        return f"did you mean `{near}`?"
    home = next((name for name in ("pipelines", "prompts") if key in _keys(_TABLES[name])), None)
    return f"it belongs below `[[{'pipelines.' * (home == 'prompts')}{home}]]`" if home else "take it out"


def _keys(table: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]
