"""Rows to items of DynamoDB and back, and the keys of everything that the table holds."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from service.adapters.jobs.dynamodb_calls import Item
from service.adapters.jobs.dynamodb_schema import DUE, ENDED, EXPIRES_AT, LISTED, PK, SK
from service.engine.row import Lane, Row, RowId, Token

SHARDS: Final = 4
"""Partitions of an index that rows are spread over, so that none of them must take all writes."""

ACTIVE: Final = "active"
"""Where whatever has not ended is listed: a row that goes from status to status stays in its place meanwhile."""

FACTS_AT_MOST: Final = 300_000
"""Bytes of a row's facts, compressed; DynamoDB takes no item over 400 KB."""

HEARD_KEPT: Final = 4
"""The marks of so many of the last writes by the outside stay on the row, so that each can be told for one's own."""

Value = str | float | bytes | Sequence[bytes] | Sequence[str]


class Oversized(ValueError):
    """More than an item can hold: a bug, for what rows hold is bounded."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A row with what the table keeps on it for its own use.

    `revision` counts all writes. `added`, `write` and `heard` are marks of who wrote: the mark of its making, of the
    last write by a worker, of the last few by the outside. `names` are digests of what else it is known by, `owned`
    the names that it owns.
    """

    row: Row
    revision: int = 1
    added: str = ""
    write: str = ""
    heard: tuple[str, ...] = ()
    names: frozenset[bytes] = field(default_factory=frozenset)
    owned: frozenset[str] = field(default_factory=frozenset)


def key(pk: str, sk: str) -> Item:
    return {PK: {"S": pk}, SK: {"S": sk}}


def row_key(row_id: RowId) -> Item:
    return key(f"job#{row_id}", "job")


def notes_key(row_id: RowId) -> Item:
    return key(f"job#{row_id}", "notes")


def owned_key(name: str) -> Item:
    return key(f"owned#{digest(name).hex()}", "owned")


def name_partition(name: str) -> str:
    return f"name#{digest(name).hex()}"


def name_key(name: str, row: Row) -> Item:
    """In the order of creation, so that the newest rows of a name that many have are the first to be found."""
    return key(name_partition(name), created_key(row))


def digest(name: str) -> bytes:
    """Stands for a name of any length."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:16]


def row_id_of(item: Item) -> RowId:
    return RowId(str(item[PK]["S"]).removeprefix("job#"))


def shard(row_id: RowId) -> int:
    return zlib.crc32(row_id.encode()) % SHARDS


def created_key(row: Row) -> str:
    """Sorts as (created_at, id) does, and is another for each row."""
    return f"{row.created_at:020.9f}#{row.id}"


def item_of(stored: Stored, keep: float) -> Item:
    """The whole item. Ended rows may be forgotten `keep` seconds after their last write. Raises Oversized."""
    return {**row_key(stored.row.id), **spelled(attributes(stored, keep)), "facts": spell(packed(stored.row.facts))}


def attributes(stored: Stored, keep: float) -> dict[str, Value]:
    """Everything but key and facts; what is None or empty has no attribute."""
    row, part = stored.row, shard(stored.row.id)
    values: dict[str, Value | None] = {
        "status": row.status,
        "schema": row.schema,
        "lane": row.lane.value,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "due_at": row.due_at,
        "lease_until": row.lease_until,
        "claimable_at": row.claimable_at,
        "token": row.token,
        "claims": row.claims,
        "callbacks": row.callbacks,
        "callbacks_checked": row.callbacks_checked,
        "subject": row.subject,
        "parked": row.parked,
        "queue": row.queue,
        "wants": row.wants or None,
        "revision": stored.revision,
        "added": stored.added,
        "write": stored.write,
        "heard": ",".join(stored.heard),
        "names": sorted(stored.names),
        "owned": sorted(stored.owned),
        LISTED.hash_key: f"{row.status if row.due_at is None else ACTIVE}#{part}",
        LISTED.range_key: created_key(row),
    }
    if row.due_at is None:
        values |= {ENDED.range_key: row.updated_at, EXPIRES_AT: int(row.updated_at + keep)}
    else:
        values |= {DUE.hash_key: f"{row.lane}#{part}", DUE.range_key: max(row.due_at, row.claimable_at)}
    return {name: value for name, value in values.items() if value is not None and value not in ("", [])}


def stored_of(item: Item) -> Stored:
    """The row that an item holds; without its facts where they were not asked for."""
    value = plain(item)
    return Stored(
        row=Row(
            id=row_id_of(item),
            status=value["status"],
            schema=int(value["schema"]),
            lane=Lane(value["lane"]),
            facts=unpacked(value["facts"]) if "facts" in value else {},
            created_at=value["created_at"],
            updated_at=value["updated_at"],
            due_at=value.get("due_at"),
            lease_until=value["lease_until"],
            claimable_at=value["claimable_at"],
            token=Token(int(value["token"])),
            claims=int(value["claims"]),
            callbacks=int(value["callbacks"]),
            callbacks_checked=int(value["callbacks_checked"]),
            subject=value.get("subject"),
            parked=value.get("parked"),
            queue=value.get("queue"),
            wants=int(value.get("wants", 0)),
        ),
        revision=int(value["revision"]),
        added=value.get("added", ""),
        write=value.get("write", ""),
        heard=tuple(filter(None, value.get("heard", "").split(","))),
        names=frozenset(value.get("names", ())),
        owned=frozenset(value.get("owned", ())),
    )


def packed(facts: Mapping[str, object]) -> bytes:
    """Raises TypeError for facts that are not JSON, Oversized."""
    body = zlib.compress(orjson.dumps(facts), 9)
    if len(body) > FACTS_AT_MOST:
        raise Oversized(f"a row's facts take {len(body)} bytes, of {FACTS_AT_MOST} that there is room for")
    return body


def unpacked(body: bytes) -> Mapping[str, object]:
    facts: Mapping[str, object] = orjson.loads(zlib.decompress(body))
    return facts


def spelled(values: Mapping[str, Value]) -> dict[str, Mapping[str, Any]]:
    """Values as DynamoDB spells them."""
    return {name: spell(value) for name, value in values.items()}


def spell(value: Value) -> Mapping[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case int() | float():
            return {"N": repr(value)}
        case _:
            return {"BS" if isinstance(value[0], bytes) else "SS": list(value)}


def plain(item: Item) -> dict[str, Any]:
    """The values of an item without their types; every number is a float."""
    return dict(_plain(item.items()))


def _plain(pairs: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterable[tuple[str, Any]]:
    for name, typed in pairs:
        for kind, value in typed.items():
            yield name, float(value) if kind == "N" else value
