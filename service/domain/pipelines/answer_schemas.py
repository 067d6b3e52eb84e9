"""Structured answers in a pipelines file: a prompt's schema, in a file beside it or inline, and what it is sent as."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson
from pydantic import JsonValue

from service.domain.asking.structured import schema_of
from service.domain.errors import Problem
from service.domain.pipelines.raw import RawAsked, RawDefaults, RawPrompt
from service.domain.pipelines.schema_flaws import Flaw, doubts, flaws
from service.domain.pipelines.schema_nodes import STAYS_HERE, Node, is_object, nodes, types
from service.domain.pipelines.shape import Source
from service.domain.pipelines.toml_lines import Path
from service.domain.spelling import shown

LONGEST_PLACE: Final = 120

ReadFile = Callable[[str], "str | Problem"]
"""The text of a file beside the pipelines file by its name there, or why not (its place is not used)."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The schema of a prompt: where the pipelines file has it, and the file that it came from."""

    schema: Node
    path: Path
    file: str | None = None

    def told(self, flaw: Flaw, source: Source) -> Problem:
        """In a file the place is a JSON pointer, beside the line that names the file."""
        if self.file is None:
            return source.problem((*self.path, *flaw.at), flaw.what, flaw.cure)
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in flaw.at)
        where = f"in {self.file}, {shown('#' + ''.join(f'/{step}' for step in steps), LONGEST_PLACE)}"
        return source.problem(self.path, f"{flaw.what} ({where})", flaw.cure)


def structure(raw: RawPrompt, path: Path, source: Source, read: ReadFile) -> tuple[Structure | None, list[Problem]]:
    """The schema of a prompt that has one, and what is wrong with it."""
    written, place = raw.response_schema, (*path, "schema")
    if "response_schema" not in raw.model_fields_set:
        return None, []
    if raw.response_format is not None:
        what = "`schema` and `response_format` both say what the answer must look like"
        return None, [source.problem((*path, "response_format"), what, "keep `schema`")]
    if any(each.response_format is not None for each in raw.fallbacks or []):
        what = "a fallback has a `response_format` of its own, and the answer must follow `schema`"
        return None, [source.problem((*path, "fallbacks"), what, "take it out: fallbacks are asked by `schema` too")]
    found: Structure | Problem
    if isinstance(written, dict):
        found = Structure(schema=written, path=place)
    elif isinstance(written, str):
        found = _in_file(written, place, source, read)
    else:
        cure = 'write it like `schema = "schemas/triage.json"`, or as a table'
        found = source.problem(place, "`schema` must be the name of a file or a table", cure)
    if isinstance(found, Problem):
        return None, [found]
    problems = [found.told(flaw, source) for flaw in flaws(found.schema)]
    return (None if problems else found), problems


def check_written(raw: RawAsked, path: Path, source: Source) -> Iterator[Problem]:
    """What a `response_format` that the file itself has, or a fallback's, would be refused for."""
    if isinstance(raw, RawPrompt) and "response_schema" in raw.model_fields_set:
        return
    for at, asked in ((path, raw), *(((*path, "fallbacks", n), each) for n, each in enumerate(raw.fallbacks or []))):
        form = asked.response_format
        if form is None:
            continue
        place = (*at, "response_format")
        inner = form.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, dict) else None
        if form.get("type") != "json_schema" or not isinstance(inner, dict) or not inner.get("name") or schema is None:
            cure = "write `schema` in its place, or all of type, json_schema.name and json_schema.schema"
            yield source.problem(place, '`response_format` is no table of type "json_schema" with a schema', cure)
            continue
        here = Structure(schema={}, path=(*place, "json_schema", "schema"))
        yield from (here.told(flaw, source) for flaw in flaws(schema))


def answered_by(own: Structure | None, raw: RawPrompt, path: Path, defaults: RawDefaults) -> Structure | None:
    """What a prompt's answer follows: its own schema, else that of the `response_format` that it writes or inherits.

    None for one that is answered in words, and where the schema has flaws.
    """
    form, at = (defaults.response_format, ("defaults",)) if raw.response_format is None else (raw.response_format, path)
    schema = schema_of({"response_format": form})
    if own is not None or schema is None or flaws(dict(schema)):
        return own
    return Structure(schema=dict(schema), path=(*at, "response_format", "json_schema", "schema"))


def check_doubts(held: Structure, raw: RawPrompt, defaults: RawDefaults, source: Source) -> list[Problem]:
    """What some of the models that are asked may not take."""
    fallbacks = defaults.fallbacks if raw.fallbacks is None else raw.fallbacks
    models = [raw.model or defaults.model, *(each.model for each in fallbacks or [])]
    return [held.told(flaw, source) for flaw in doubts(held.schema, [model for model in models if model])]


def response_format(name: str, schema: Node) -> dict[str, JsonValue]:
    """How the LLM Gateway is asked for an answer by the schema (vendor API reference: structured outputs).

    What follows anyway is written out, since some providers insist on it: that no object takes properties that are not
    listed, and the type of listed values. `strict` is asked for where every property is required, its condition.
    """
    held = {key: value for key, value in _closed(schema).items() if key not in STAYS_HERE}
    strict = all(_whole(node) for _, node in nodes(schema) if isinstance(node, dict))
    return {"type": "json_schema", "json_schema": {"name": name, "schema": held, "strict": strict}}


def _whole(node: Node) -> bool:
    properties, required = node.get("properties"), node.get("required", [])
    return not isinstance(properties, dict) or (isinstance(required, list) and properties.keys() <= set(required))


def _closed(node: Node) -> dict[str, JsonValue]:
    members = dict(node)
    for keyword in ("properties", "$defs", "definitions"):
        held = members.get(keyword)
        if isinstance(held, dict):
            members[keyword] = {name: _part(each) for name, each in held.items()}
    if "items" in members:
        members["items"] = _part(members["items"])
    choices = members.get("anyOf")
    if isinstance(choices, list):
        members["anyOf"] = [_part(each) for each in choices]
    if "type" not in members and (known := sorted(types(node))):
        members["type"] = known[0] if len(known) == 1 else [*known]
    return members | ({"additionalProperties": False} if is_object(node) else {})


def _part(node: JsonValue) -> JsonValue:
    return _closed(node) if isinstance(node, dict) else node


def _in_file(name: str, place: Path, source: Source, read: ReadFile) -> Structure | Problem:
    text = read(name)
    if isinstance(text, Problem):
        return source.problem(place, text.what, text.cure)
    try:
        schema = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        what = f"{shown(name)} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        return source.problem(place, what, "mend it there")
    if not isinstance(schema, dict):
        what = f"{shown(name)} holds no JSON object"
        return source.problem(place, what, 'write it like `{"type": "object", "properties": {…}}`')
    return Structure(schema=schema, path=place, file=name)
