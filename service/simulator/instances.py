"""A JSON value that a JSON Schema accepts, filled with what was said where the schema leaves room."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

DEPTH: Final = 30
_FORMATS: Final[Mapping[str, str]] = {
    "date": "2026-01-15",
    "time": "09:30:00Z",
    "date-time": "2026-01-15T09:30:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "duration": "PT1M",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


def instance_of(schema: Any, text: str, root: Any = None, name: str = "", depth: int = 0) -> Any:
    """Deterministic. Knows references within the schema, combinations, bounds and formats; patterns it does not."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > DEPTH:
        return None
    if "$ref" in schema:
        return instance_of(_referred(root, schema["$ref"]), text, root, name, depth + 1)
    if "const" in schema or schema.get("enum"):
        return _chosen(schema.get("enum") or [schema["const"]], text, name)
    for combined in ("oneOf", "anyOf"):
        if schema.get(combined):
            rest = {key: value for key, value in schema.items() if key != combined}
            return instance_of(_merged(rest, schema[combined][0]), text, root, name, depth + 1)
    if schema.get("allOf"):
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            merged = _merged(merged, _referred(root, part["$ref"]) if "$ref" in part else part)
        return instance_of(merged, text, root, name, depth + 1)
    return _typed(schema, text, root, name, depth)


def _typed(schema: dict[str, Any], text: str, root: Any, name: str, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    match kind:
        case "object":
            return _object(schema, text, root, depth)
        case "array":
            return _array(schema, text, root, name, depth)
        case "number" | "integer":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return bool(_digest(name + text) % 2)
        case "null":
            return None
        case _:
            return _string(schema, text)


def _object(schema: dict[str, Any], text: str, root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    # Optional properties stop where a schema refers to itself; required ones have to go on.
    names = [*properties, *schema.get("required", [])] if depth < DEPTH // 3 else schema.get("required", [])
    return {name: instance_of(properties.get(name, {}), text, root, name, depth + 1) for name in dict.fromkeys(names)}


def _array(schema: dict[str, Any], text: str, root: Any, name: str, depth: int) -> list[Any]:
    most = schema.get("maxItems", 1 if depth < DEPTH // 3 else 0)
    count = max(schema.get("minItems", 0), min(1, most))
    items, before = schema.get("items", {}), schema.get("prefixItems", [])
    return [
        instance_of(before[place] if place < len(before) else items, text, root, f"{name}{place or ''}", depth + 1)
        if not schema.get("uniqueItems")
        else _distinct(items, text, root, place, depth)
        for place in range(count)
    ]


def _distinct(items: Any, text: str, root: Any, place: int, depth: int) -> Any:
    options = items.get("enum") if isinstance(items, dict) else None
    if options:
        return options[place % len(options)]
    value = instance_of(items, text, root, str(place), depth + 1)
    if isinstance(value, str):
        return f"{place + 1} {value}"[: items.get("maxLength", 1 << 20)]
    return value + place if isinstance(value, int) else value


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    low, high = (schema.get(f"{end}imum", schema.get(f"exclusive{end.title()}imum")) for end in ("min", "max"))
    if not whole and "multipleOf" not in schema:
        if low is not None and high is not None:
            return float(low + high) / 2
        return float(low + 1 if low is not None else high - 1 if high is not None else 1)
    step = schema.get("multipleOf", 1)
    value = math.floor(high / step) * step if high is not None and low is None else step
    value = math.ceil(low / step) * step if low is not None else value
    if value == schema.get("exclusiveMinimum"):
        value += step
    elif value == schema.get("exclusiveMaximum"):
        value -= step
    return int(value) if whole else float(value)


def _string(schema: dict[str, Any], text: str) -> str:
    value = _FORMATS.get(schema.get("format", ""), text)
    value = value.ljust(schema.get("minLength", 0), ".")
    return value[: schema.get("maxLength", len(value))]


def _chosen(options: list[Any], text: str, name: str) -> Any:
    spoken = text.lower()
    named = [option for option in options if isinstance(option, str) and option and option.lower() in spoken]
    return named[0] if named else options[_digest(name + text) % len(options)]


def _merged(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one
    both = one | other
    if "properties" in one and "properties" in other:
        both["properties"] = one["properties"] | other["properties"]
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    return both


def _referred(root: Any, reference: str) -> Any:
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
