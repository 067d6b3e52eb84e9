"""Pointers into a structured answer, held against its schema: what an event's attribute can be made of."""

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from service.domain.pipelines.schema_nodes import Node, concrete, types
from service.domain.spelling import did_you_mean, shown

CAN_BE: Final = "an attribute is a text, a number, true or false, or a list of these"

NAMED: Final = 5
"""Properties that a cure lists."""


def wrong_part(name: str, parts: Sequence[str], schema: Node) -> tuple[str, str] | None:
    """What is wrong with pointing at `parts` of the answer to prompt `name`, and the cure."""
    nodes = concrete([schema], schema)
    written = f"answers.{name}"
    for number, part in enumerate(parts):
        held = _properties(nodes)
        if part not in held:
            return _no_part(written, parts[number:], nodes)
        nodes = concrete([each for node in nodes for each in _held(node, part)], schema)
        written = f"{written}.{part}"
    kinds = _kinds(nodes)
    if "object" in kinds:
        return f"{shown(written)} is an object, and {CAN_BE}", _properties_of(written, nodes)
    if "array" in kinds:
        items = concrete([node["items"] for node in nodes if "items" in node], schema)
        if {"object", "array"} & _kinds(items):
            what = f"{shown(written)} is a list of {'objects' if 'object' in _kinds(items) else 'lists'}, and {CAN_BE}"
            return what, "give the schema a property with what subscribers filter by, and point at that"
    return None


def _no_part(written: str, rest: Sequence[str], nodes: Sequence[Node]) -> tuple[str, str]:
    held = _properties(nodes)
    if not held:
        kind = "a list" if "array" in _kinds(nodes) else "no object"
        return f"{shown(written)} is {kind}, and has no {shown(rest[0])} to point at", f"point at {shown(written)}"
    what = f"the schema of {shown(written)} has no property {shown(rest[0])}"
    if ".".join(rest) in held:
        return what, "a dot in a property's name cannot be pointed at; give it a name without"
    near = did_you_mean(rest[0], held)
    return what, f"did you mean {shown(f'{written}.{near}')}?" if near else _properties_of(written, nodes)


def _properties_of(written: str, nodes: Sequence[Node]) -> str:
    names = [shown(f"{written}.{name}") for name in _properties(nodes)]
    more = ", …" if len(names) > NAMED else ""
    return f"point at one of its properties: {', '.join(names[:NAMED])}{more}" if names else "point at something else"


def _properties(nodes: Sequence[Node]) -> list[str]:
    """Their names, each once, in order."""
    named = [node.get("properties") for node in nodes]
    return list(dict.fromkeys(name for each in named if isinstance(each, dict) for name in each))


def _held(node: Node, name: str) -> list[JsonValue]:
    properties = node.get("properties")
    return [properties[name]] if isinstance(properties, dict) and name in properties else []


def _kinds(nodes: Sequence[Node]) -> frozenset[str]:
    return frozenset({kind for node in nodes for kind in types(node)})
