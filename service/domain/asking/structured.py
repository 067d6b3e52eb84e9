"""Structured answers: the JSON that a model gave, held against the schema that it was asked to fit.

Nothing is fetched: a `$ref` leads into the schema itself or nowhere. `format` is not checked.
"""

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from service.domain.pipeline import canonical

LARGEST: Final = 1024 * 1024
"""Bytes of JSON in an answer."""
DEEPEST: Final = 64
"""Arrays and objects within each other."""

_FENCED: Final = re.compile(r"```[a-zA-Z]*\s*\n(.*?)\s*```", re.DOTALL)
_ERRORS_WEIGHED: Final = 50
_LONGEST_WORDS: Final = 400
_COMPILED_AT_MOST: Final = 256


@dataclass(frozen=True, kw_only=True)
class Fits:
    """`text` is the JSON alone, as the model wrote it; `value` what it says."""

    text: str
    value: JsonValue


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """`told` is for the model and may quote its answer; `what` is for people and quotes nothing but the schema."""

    told: str
    what: str


def schema_of(request: Mapping[str, JsonValue]) -> Mapping[str, JsonValue] | None:
    """The schema that the answer must fit; None if any answer will do."""
    wanted = request.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    inner = wanted.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    return schema if isinstance(schema, dict) else None


def usable(schema: Mapping[str, JsonValue]) -> bool:
    """Whether it is a JSON Schema (Draft 2020-12)."""
    try:
        _compiled(canonical(dict(schema)))
    except (SchemaError, RecursionError):
        return False
    return True


def read(content: str, schema: Mapping[str, JsonValue]) -> Fits | Wrong:
    """What the model's words come to. JSON in a fence, or with blanks around it, is taken out of them.

    The schema must be `usable`.
    """
    text = content.strip()
    fenced = _FENCED.fullmatch(text)
    text = fenced[1].strip() if fenced else text
    if len(text.encode(errors="replace")) > LARGEST:
        return Wrong(told="it is too long", what=f"the answer is longer than {LARGEST // 1024} KiB")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        where = f"at line {error.lineno}, column {error.colno}"
        return Wrong(told=f"it is not JSON ({error.msg}, {where})", what="the answer is not JSON")
    if not _bounded(value):
        what = f"the answer is nested deeper than {DEEPEST}, or holds a number that JSON cannot carry"
        return Wrong(told=what.replace("the answer", "it"), what=what)
    return _held(text, value, schema)


def _held(text: str, value: JsonValue, schema: Mapping[str, JsonValue]) -> Fits | Wrong:
    try:
        found = cast("Iterable[ValidationError]", _compiled(canonical(dict(schema))).iter_errors(value))
        error = best_match(islice(found, _ERRORS_WEIGHED))
    except (Unresolvable, RecursionError):
        what = "the schema of the answer leads nowhere: a `$ref` finds nothing, or turns in a circle"
        return Wrong(told=what, what=what)
    if error is None:
        return Fits(text=text, value=value)
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    told = f"{error.message[:_LONGEST_WORDS]} (at {place[:_LONGEST_WORDS] or 'the top'})"
    rule = "/".join(str(step) for step in error.absolute_schema_path)
    return Wrong(told=told, what=f"the answer does not fit its schema: #/{rule[:_LONGEST_WORDS]} is not met")


@functools.lru_cache(maxsize=_COMPILED_AT_MOST)
def _compiled(schema: bytes) -> Draft202012Validator:
    document = orjson.loads(schema)
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document, registry=Registry())


def _bounded(value: Any) -> bool:
    """By levels, so that no depth is too much for the one who measures it."""
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(isinstance(each, float) and not math.isfinite(each) for each in level):
            return False
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return False
