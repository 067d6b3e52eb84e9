"""Walking a JSON Schema: the schemas within it, and where its references lead."""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from pydantic import JsonValue

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

STAYS_HERE: Final = frozenset({"$schema", "$id"})
"""Keywords of the root that say nothing about an answer."""

Node = dict[str, JsonValue]
Place = tuple[str | int, ...]
"""Keys and positions, from the root of a schema."""

_BY_NAME: Final = ("properties", "$defs", "definitions")


def nodes(schema: JsonValue, at: Place = ()) -> Iterator[tuple[Place, JsonValue]]:
    """Every schema in it, itself first, each with its place."""
    yield at, schema
    if not isinstance(schema, dict):
        return
    for keyword in _BY_NAME:
        held = schema.get(keyword)
        for name, each in held.items() if isinstance(held, dict) else ():
            yield from nodes(each, (*at, keyword, name))
    if "items" in schema:
        yield from nodes(schema["items"], (*at, "items"))
    choices = schema.get("anyOf")
    for number, each in enumerate(choices if isinstance(choices, list) else ()):
        yield from nodes(each, (*at, "anyOf", number))


def types(node: Node) -> frozenset[str]:
    """The types that it allows; of one without `type`, those of the values that it lists."""
    written = node.get("type")
    if isinstance(written, str):
        return frozenset({written})
    if isinstance(written, list):
        return frozenset(map(str, written))
    listed = node.get("enum")
    values = [*(listed if isinstance(listed, list) else ()), *([node["const"]] if "const" in node else ())]
    return frozenset(map(_type, values))


def is_object(node: Node) -> bool:
    return "object" in types(node) or "properties" in node


def resolved(reference: str, root: Node) -> Place | None:
    """Where a reference like `#/$defs/name` leads; None if nothing is there."""
    place: Place = ()
    value: JsonValue = root
    for part in unquote(reference).removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value, place = value[key], (*place, key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value, place = value[int(key)], (*place, int(key))
        else:
            return None
    return place


def concrete(some: Sequence[JsonValue], root: Node) -> Sequence[Node]:
    """The schemas that an answer may follow there, references and choices replaced by what they lead to."""
    found: list[Node] = []
    waiting, seen = list(some), set[str]()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            continue
        choices = node.get("anyOf")
        if isinstance(choices, list):
            waiting += choices
        reference = node.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            waiting.append(at(root, resolved(reference, root)))
        if types(node) or "properties" in node:
            found.append(node)
    return found


def refers_to_itself(node: Node, root: Node) -> bool:
    """Whether following references and choices alone, none of the answer used up, leads back to a reference again."""
    return _circles(node, root, frozenset(), set())


def at(root: Node, place: Place | None) -> JsonValue:
    """What stands at a place; None for no place."""
    if place is None:
        return None
    value: JsonValue = root
    for step in place:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    return value


def _circles(node: JsonValue, root: Node, above: frozenset[str], done: set[str]) -> bool:
    if not isinstance(node, dict):
        return False
    choices = node.get("anyOf")
    if any(_circles(each, root, above, done) for each in (choices if isinstance(choices, list) else ())):
        return True
    reference = node.get("$ref")
    if not isinstance(reference, str) or reference in done:
        return False
    if reference in above:
        return True
    circles = _circles(at(root, resolved(reference, root)), root, above | {reference}, done)
    done.add(reference)
    return circles


def _type(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
