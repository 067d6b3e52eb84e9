"""The JSON Schema of a structured answer: why no model could answer by it, and what some may not take.

What models take is less than JSON Schema has, and differs by provider; this is what all of them take, with bounds of
texts, numbers and lists besides (see docs/decisions/0021).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from service.domain.pipeline import canonical
from service.domain.pipelines.schema_nodes import (
    DIALECT,
    STAYS_HERE,
    Node,
    Place,
    is_object,
    nodes,
    refers_to_itself,
    resolved,
    types,
)
from service.domain.spelling import did_you_mean, shown

LARGEST: Final = 64 * 1024
"""Bytes of a schema: it goes out with every request."""

DEEPEST: Final = 64
"""Levels of JSON within each other; a property takes two."""

TOLD: Final = 5
"""Flaws of one kind that are told at once; the others follow when those are mended."""

BOUNDS: Final = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "multipleOf",
        "pattern",
        "uniqueItems",
    }
)
"""Taken by some models and refused by others."""

_IN_WORDS: Final = "take it out, and say it in a `description`"
_BY_NAME: Final = "list the `properties` by their names"
_BY_REFERENCE: Final = "put what it names below `$defs` and write `#/$defs/NAME`"
_NOT_TAKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "allOf": "write its parts as one schema",
        "oneOf": "write `anyOf`",
        "prefixItems": "write an object with a property for each place",
        "nullable": 'write the type as `["string", "null"]`',
        "patternProperties": _BY_NAME,
        "propertyNames": _BY_NAME,
        "minProperties": _BY_NAME,
        "maxProperties": _BY_NAME,
        "unevaluatedProperties": "take it out: no others are allowed anyway",
        **dict.fromkeys(("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"), _BY_REFERENCE),
        **dict.fromkeys(("not", "if", "then", "else", "dependencies", "dependentSchemas"), _IN_WORDS),
        **dict.fromkeys(("dependentRequired", "unevaluatedItems", "additionalItems"), _IN_WORDS),
        **dict.fromkeys(("contains", "minContains", "maxContains"), _IN_WORDS),
    }
)
"""With the cure for each."""

_TAKEN: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "format"}
    | {"$ref", "$defs", "definitions", "$comment", "title", "description", "default", "examples", "deprecated"}
)
_BESIDE_REFERENCE: Final = frozenset({"$ref", "$comment", "title", "description", "default", "examples", "deprecated"})
_SAYS_WHAT: Final = frozenset({"type", "enum", "const", "anyOf", "$ref"})


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """Something about the schema: `at` leads there from its root."""

    at: Place
    what: str
    cure: str


def flaws(schema: JsonValue) -> Sequence[Flaw]:
    """Why no answer can be asked for by it. None of them: it is a valid schema (draft 2020-12) that models take."""
    if not isinstance(schema, dict):
        cure = 'write it like `{"type": "object", "properties": {…}}`'
        return [Flaw(at=(), what="the schema is not an object", cure=cure)]
    if _deeper(schema, DEEPEST):
        return [Flaw(at=(), what=f"the schema is nested more than {DEEPEST} levels deep", cure="make it flatter")]
    if len(canonical(schema)) > LARGEST:
        what = f"the schema is larger than {LARGEST // 1024} KiB, and it goes out with every request"
        return [Flaw(at=(), what=what, cure="ask for less in one prompt")]
    found = list(_invalid(schema)) or list(_root(schema))
    if not found:
        places = {at for at, _ in nodes(schema)}
        found = [each for at, node in nodes(schema) for each in _node(at, node, schema, places)]
    return found[:TOLD]


def doubts(schema: Node, models: Sequence[str]) -> Sequence[Flaw]:
    """What of a schema without flaws some models may not take. `models` are those that will be asked by it."""
    found: list[Flaw] = []
    for at, node in nodes(schema):
        for keyword in sorted(node.keys() - _TAKEN - BOUNDS - STAYS_HERE if isinstance(node, dict) else ()):
            near = did_you_mean(keyword, _TAKEN | BOUNDS)
            cure = f"did you mean `{near}`?" if near else "it is sent as it is; take it out if that was not meant"
            found.append(Flaw(at=(*at, keyword), what=f"JSON Schema has no keyword {shown(keyword)}", cure=cure))
    claude = next((model for model in models if model.startswith("claude-")), None)
    bounded = [(at, node.keys() & BOUNDS) for at, node in nodes(schema) if isinstance(node, dict)]
    at, first = next(((at, sorted(some)) for at, some in bounded if some), ((), []))
    if claude and first:
        what = f"{shown(claude)} may refuse `{first[0]}`, as Anthropic documents of all bounds of texts, numbers, lists"
        cure = "say it in a `description`, or try the prompt before you rely on it"
        found.append(Flaw(at=(*at, first[0]), what=what, cure=cure))
    return found[:TOLD]


def _deeper(value: JsonValue, levels: int) -> bool:
    row: list[JsonValue] = [value]
    while row and levels:
        inner = [each for each in row if isinstance(each, (dict, list))]
        row = [part for each in inner for part in (each.values() if isinstance(each, dict) else each)]
        levels -= 1
    return any(isinstance(each, (dict, list)) for each in row)


def _invalid(schema: Node) -> Iterator[Flaw]:
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # costs every start what only schemas need

    told: set[Place] = set()
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        at: Place = tuple(error.absolute_path)
        if at in told:
            continue
        told.add(at)
        subject = shown(str(at[-1])) if at else "the schema"
        known = ("string", "number", "integer", "boolean", "object", "array", "null")
        if at[-1:] == ("type",):
            near = did_you_mean(error.instance, known) if isinstance(error.instance, str) else None
            cure = f"did you mean `{near}`?" if near else f"write one of: {', '.join(known)}"
            yield Flaw(at=at, what="`type` names no type of JSON Schema", cure=cure)
        else:
            wanted = error.validator_value if error.validator == "type" else None
            kinds = [wanted] if isinstance(wanted, str) else wanted or []
            what = f"must be of type {' or '.join(kinds)}" if kinds else "holds what JSON Schema does not allow there"
            yield Flaw(at=at, what=f"{subject} {what}", cure="see json-schema.org, draft 2020-12")


def _root(schema: Node) -> Iterator[Flaw]:
    if schema.get("type") != "object":
        cure = 'write `type` as "object", with the answer as one of its `properties`'
        yield Flaw(at=(), what="an answer must be an object", cure=cure)
    dialect = schema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
        yield Flaw(at=("$schema",), what="it is written for another draft than 2020-12", cure=f"write `{DIALECT}`")


def _node(at: Place, node: JsonValue, root: Node, places: set[Place]) -> Iterator[Flaw]:
    if not isinstance(node, dict) or not node.keys() & (_SAYS_WHAT | _NOT_TAKEN.keys()):
        yield Flaw(at=at, what="nothing says what belongs there", cure='write a `type`, such as "string"')
        return
    for keyword in sorted(node.keys() & _NOT_TAKEN.keys()):
        what = f"models do not take `{keyword}` in a schema"
        yield Flaw(at=(*at, keyword), what=what, cure=_NOT_TAKEN[keyword])
    if at:
        for keyword in sorted(node.keys() & {"$schema", "$id"}):
            yield Flaw(at=(*at, keyword), what=f"`{keyword}` stands inside of a schema", cure="take it out")
    if "$ref" in node:
        yield from _reference(at, node, root, places)
    if is_object(node):
        yield from _object(at, node)
    if "array" in types(node) and "items" not in node:
        yield Flaw(at=at, what="nothing says what the list holds", cure='write `items`, such as {"type": "string"}')
    if node.get("enum") == []:
        yield Flaw(at=(*at, "enum"), what="`enum` allows no value", cure="list the values")
    if isinstance(node.get("pattern"), str) and not _compiles(str(node["pattern"])):
        yield Flaw(at=(*at, "pattern"), what="`pattern` is no regular expression", cure="mend it, or take it out")


def _reference(at: Place, node: Node, root: Node, places: set[Place]) -> Iterator[Flaw]:
    reference, place = str(node["$ref"]), (*at, "$ref")
    if not reference.startswith("#/"):
        what = f"{shown(reference)} leads out of the schema, and nothing is fetched"
        yield Flaw(at=place, what=what, cure="copy it below `$defs` and write `#/$defs/NAME`")
    elif (target := resolved(reference, root)) is None or target not in places:
        near = did_you_mean(reference, ("#/" + "/".join(map(str, each)) for each in places if each))
        cure = f"did you mean `{near}`?" if near else "write `#/$defs/NAME` of one that is there"
        yield Flaw(at=place, what=f"there is no schema at {shown(reference)}", cure=cure)
    elif refers_to_itself(node, root):
        what = f"{shown(reference)} leads back to itself and to nothing else"
        yield Flaw(at=place, what=what, cure="let it name a schema with a `type`")
    for keyword in sorted(node.keys() - _BESIDE_REFERENCE):
        yield Flaw(at=(*at, keyword), what=f"`{keyword}` stands beside `$ref`", cure="write it where `$ref` leads")


def _object(at: Place, node: Node) -> Iterator[Flaw]:
    properties, required = node.get("properties"), node.get("required")
    if not isinstance(properties, dict) or not properties:
        cure = (
            "list its `properties`; for names that you do not know, ask for a list of objects with a name and a value"
        )
        yield Flaw(at=at, what="an object without `properties` can hold nothing", cure=cure)
        return
    if node.get("additionalProperties", False) is not False:
        what = "models answer with the listed properties only, and `additionalProperties` allows others"
        yield Flaw(at=(*at, "additionalProperties"), what=what, cure="take it out; it is sent as false")
    for name in required if isinstance(required, list) else ():
        if name not in properties:
            near = did_you_mean(str(name), properties)
            cure = f"did you mean `{near}`?" if near else "list it, or take it out of `required`"
            what = f"`required` names {shown(str(name))}, which is none of the `properties`"
            yield Flaw(at=(*at, "required"), what=what, cure=cure)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True
