"""Pinned pipelines, and the notes of callbacks as the stages ask for them."""

import hashlib
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import ConditionFailed, Item
from service.adapters.jobs.dynamodb_notes import NoteBook
from service.adapters.jobs.dynamodb_writes import Writes, absent
from service.domain.job import JobId, TranscriptId
from service.engine.row import RowId

PIECE: Final = 300_000
"""Bytes of a document in one item; DynamoDB takes none over 400 KB."""


class DynamoPins:
    """Pins. A document is kept compressed, in as many pieces as it takes; the head, written last, makes it whole."""

    def __init__(self, writes: Writes, notes: NoteBook) -> None:
        self._writes = writes
        self._notes = notes

    async def pin(self, digest: str, document: bytes) -> None:
        pieces = cut(zlib.compress(document, 9))
        # Named by their content: the pieces of two documents under one digest never mix.
        content = hashlib.sha256(document).hexdigest()[:16]
        table = self._writes.calls.on_table
        for number, piece in enumerate(pieces[1:], 1):
            await table("put_item", Item={**pin_key(digest, f"{content}#{number:04}"), "piece": {"B": piece}})
        head: dict[str, items.Value] = {"content": content, "pieces": len(pieces), "piece": pieces[0]}
        with suppress(ConditionFailed):
            await table("put_item", Item={**pin_key(digest, "head"), **items.spelled(head)}, **absent())

    async def pinned(self, digest: str) -> bytes | None:
        head = await self._piece(digest, "head")
        if head is None:
            return None
        said = items.plain(head)
        pieces = [said["piece"]]
        for number in range(1, int(said["pieces"])):
            piece = await self._piece(digest, f"{said['content']}#{number:04}")
            if piece is None:
                return None
            pieces.append(piece["piece"]["B"])
        return zlib.decompress(b"".join(pieces))

    async def _piece(self, digest: str, name: str) -> Item | None:
        answer = await self._writes.calls.on_table("get_item", Key=pin_key(digest, name), ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found

    async def notes(self, job_id: JobId) -> Sequence[TranscriptId]:
        row_id = RowId(job_id)
        noted = await self._notes.noted(row_id)
        stored = await self._writes.read(row_id) if noted else None
        owned = frozenset() if stored is None else stored.owned
        return [TranscriptId(subject) for subject in noted if subject not in owned]


def pin_key(digest: str, name: str) -> Item:
    return items.key(f"pin#{digest}", name)


def cut(body: bytes) -> Sequence[bytes]:
    """In pieces that fit into an item, at least one."""
    return [body[start : start + PIECE] for start in range(0, max(1, len(body)), PIECE)]
