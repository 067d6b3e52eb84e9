"""The messages of a queue that are in our hands: received, kept from others while in work, settled in batches."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

import structlog

from service.adapters.aws import Aws, AwsError
from service.domain.happened import DROPS_FAILED

T = TypeVar("T")

BATCH: Final = 10
"""Messages that one call to SQS may be about."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long things take, in seconds, and how many messages are in hand at once."""

    at_once: int = 32
    poll: int = 5
    """SQS answers an empty poll after so long; shorter than a call may take."""
    visible: int = 30
    """What we have in hand nobody else sees for so long, whatever the queue says; extended in time."""
    extend: float = 10.0
    hold: float = 11 * 3600.0
    """SQS lets nobody keep a message longer than 12 hours."""
    first_pause: float = 0.5
    longest_pause: float = 30.0
    poison: int = 5
    """Until an unreadable message comes again, and so on into the dead-letter queue."""
    denied: int = 30
    """Until the first time that a message of a withheld object comes again; then doubled."""
    longest_denied: int = 900
    probe: float = 300.0
    """How long nothing is received in trouble; then one at a time, should a message in hand be its only cause."""
    rematches: tuple[float, ...] = (0.0, 600.0, 3600.0)
    """When the unmatched are matched again after the start: for a while an older replica may still leave things."""
    goodbye: float = 5.0
    """For settling what is in hand at the end."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as it was received for the `receives`th time, at `since` by the loop's clock."""

    id: str
    handle: str
    body: str
    receives: int
    since: float


class Hand:
    """Every message that was received stays in it until SQS was told what became of it."""

    def __init__(self, aws: Aws, url: str, pace: Pace) -> None:
        self._aws = aws
        self._url = url
        self._pace = pace
        self._held: dict[str, Message] = {}
        self._settled: dict[str, int | None] = {}
        self._news = asyncio.Event()
        self._freed = asyncio.Event()
        self._log = structlog.get_logger()

    async def room(self) -> int:
        """Waits until at least one more message may be received; how many may."""
        while len(self._held) >= self._pace.at_once:
            self._freed.clear()
            await self._freed.wait()
        return self._pace.at_once - len(self._held)

    async def receive(self, most: int) -> Sequence[Message]:
        """At most so many new messages, after waiting for them for the length of a poll. Raises AwsError.

        A call that was begun is waited for even when cancelled: what it brings would else be nobody's for a while.
        """
        return await seen_through(self._received(min(most, BATCH)), within=self._pace.poll + self._pace.goodbye)

    def done(self, message: Message) -> None:
        """All that it announced is durable: it is deleted. Should that fail, it comes again and makes nothing new."""
        self._settle(message, None)

    def leave(self, message: Message, seconds: int) -> None:
        """Let it come again after so many seconds, or go to the dead-letter queue if it came too often."""
        self._settle(message, seconds)

    async def keep(self) -> None:
        """Tell SQS what became of the messages, and keep the others invisible, until cancelled."""
        # One task does both, so that no late extension hides what has just been handed back.
        loop = asyncio.get_running_loop()
        extend_at = loop.time() + self._pace.extend
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(extend_at):
                    await self._news.wait()
            self._news.clear()
            await seen_through(self._tell(), within=self._pace.goodbye)
            if loop.time() >= extend_at:
                in_work = [handle for handle in self._held if handle not in self._settled]
                for first in range(0, len(in_work), BATCH):
                    batch = dict.fromkeys(in_work[first : first + BATCH], self._pace.visible)
                    await seen_through(self._show_again(batch), within=self._pace.goodbye)
                extend_at = loop.time() + self._pace.extend

    async def give_back(self) -> None:
        """Settle everything that is in hand: what is not done yet comes again at once, to whoever asks."""
        for handle in self._held:
            self._settled.setdefault(handle, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.goodbye):
                await self._tell()

    def _settle(self, message: Message, seconds: int | None) -> None:
        self._settled[message.handle] = seconds
        self._news.set()

    async def _received(self, most: int) -> Sequence[Message]:
        answer = await self._aws.call(
            "sqs",
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=self._pace.poll,
            VisibilityTimeout=self._pace.visible,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        now = asyncio.get_running_loop().time()
        messages = [
            Message(
                id=each["MessageId"],
                handle=each["ReceiptHandle"],
                body=each["Body"],
                receives=int(each.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
                since=now,
            )
            for each in answer.get("Messages", ())
        ]
        self._held.update({message.handle: message for message in messages})
        return messages

    async def _tell(self) -> None:
        while self._settled:
            deleted = dict(islice(((key, None) for key, value in self._settled.items() if value is None), BATCH))
            shown = dict(islice(((key, value) for key, value in self._settled.items() if value is not None), BATCH))
            if deleted:
                await self._delete(list(deleted))
            if shown:
                await self._show_again(shown)
            for handle in (*deleted, *shown):
                self._settled.pop(handle, None)
                self._held.pop(handle, None)
            self._freed.set()

    async def _delete(self, handles: Sequence[str]) -> None:
        entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
        await self._batch("delete_message_batch", entries)

    async def _show_again(self, after: dict[str, int]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, (handle, seconds) in enumerate(after.items())
        ]
        await self._batch("change_message_visibility_batch", entries)

    async def _batch(self, operation: str, entries: Sequence[dict[str, Any]]) -> None:
        """Whatever fails of it only means that a message comes again.

        One that always does ends among the dead letters, its recording done or not: what may not be done is told.
        """
        try:
            answer = await self._aws.call("sqs", operation, QueueUrl=self._url, Entries=entries)
        except AwsError as error:
            tell = self._log.warning if error.denied else self._log.debug
            tell(DROPS_FAILED, queue=self._url, operation=operation, reason=str(error))
        else:
            for failed in answer.get("Failed", ()):
                self._log.debug(DROPS_FAILED, queue=self._url, operation=operation, reason=failed.get("Code"))


async def seen_through(call: Coroutine[Any, Any, T], *, within: float) -> T:
    """What the call gives; when cancelled, only after it has ended, or `within` seconds."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=within)
        task.cancel()
        raise
