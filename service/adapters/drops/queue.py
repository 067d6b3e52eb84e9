"""Recordings that a bucket's notifications announce in an SQS queue."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import structlog
from pydantic import ValidationError

from service.adapters.aws import Aws, AwsError
from service.adapters.drops.announced import Announced, Withheld
from service.adapters.drops.hand import Hand, Message, Pace
from service.domain import notices
from service.domain.errors import Transient
from service.domain.happened import DROP_IGNORED, DROP_UNREADABLE, DROPS_FAILED, DROPS_WATCHED
from service.domain.job import Recording
from service.domain.notices import Notice
from service.domain.objects import ObjectPlace
from service.domain.tally import Tally
from service.engine.errors import StoreTrouble
from service.ports.places import Take
from service.ports.store import Unmatched

T = TypeVar("T")

PACE: Final = Pace()
BREATHER: Final = 100
"""Remembered notices that are matched before others have their turn."""


class Trouble:
    """Whether something fails just now; told once when it begins and once when it is over."""

    def __init__(self, url: str, *, told: bool) -> None:
        """`told`: the queue is known to be watched, so that a success is no news."""
        self.calm = asyncio.Event()
        self.calm.set()
        self._url = url
        self._told = told
        self._log = structlog.get_logger()

    def met(self, reason: str, seconds: float) -> None:
        if self.calm.is_set():
            self._log.warning(DROPS_FAILED, queue=self._url, reason=reason, retry_in=seconds)
        self.calm.clear()
        self._told = False

    def over(self) -> None:
        if not self._told:
            self._log.info(DROPS_WATCHED, queue=self._url)
        self.calm.set()
        self._told = True


class HeldTooLong(Exception):
    """SQS will soon take the message out of our hands."""


class QueueDrops:
    """Hands over what the messages of a queue announce (ports.Drops); a message is deleted once all of it is durable.

    `wanted` says whether a pipeline takes a key and URI, `own` whether an object is a result of ours. What none takes
    is kept in `unmatched` and matched again after the start. A message that cannot be read, or whose object S3
    withholds, is left for the queue's redrive policy, told with its reason each time; the rest of it is taken. While
    what is taken cannot be stored, messages are held rather than spent, and no more are received.
    """

    def __init__(
        self,
        aws: Aws,
        url: str,
        *,
        wanted: Callable[[str, str], bool],
        own: Callable[[ObjectPlace], bool],
        unmatched: Unmatched,
        clock: Callable[[], float],
        tally: Tally,
        pace: Pace = PACE,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._aws = aws
        self._url = url
        self._announced = Announced(aws, wanted=wanted, own=own, unmatched=unmatched, clock=clock, tally=tally)
        self._unmatched = unmatched
        self._pace = pace
        self._log = structlog.get_logger()

    async def watch(self, take: Take) -> None:
        """Until cancelled, which takes as long as the poll that is out; what is in hand by then is handed back."""
        hand = Hand(self._aws, self._url, self._pace)
        trouble = Trouble(self._url, told=True)

        async def taken(recording: Recording, names: Sequence[str]) -> None:
            await take(recording, names)
            trouble.over()

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_receiving(tasks, hand, trouble, taken))
                tasks.create_task(self._keep_matching(trouble, taken))
                tasks.create_task(hand.keep())
        finally:
            await hand.give_back()

    async def _keep_receiving(self, tasks: asyncio.TaskGroup, hand: Hand, trouble: Trouble, take: Take) -> None:
        receiving = Trouble(self._url, told=False)
        failures = 0
        while True:
            most = await hand.room()
            if not await self._calm(trouble):
                most = 1
            try:
                messages = await hand.receive(most)
            except AwsError as error:
                failures += 1
                seconds = self._pause(failures, None)
                receiving.met(str(error), seconds)
                await asyncio.sleep(seconds)
                continue
            failures = 0
            receiving.over()
            for message in messages:
                tasks.create_task(self._attend(message, hand, trouble, take))

    async def _calm(self, trouble: Trouble) -> bool:
        """Waits for the trouble to be over, but not for ever: True if it is."""
        try:
            async with asyncio.timeout(self._pace.probe):
                await trouble.calm.wait()
        except TimeoutError:
            return False
        return True

    async def _attend(self, message: Message, hand: Hand, trouble: Trouble, take: Take) -> None:
        try:
            again = await self._taken(message, trouble, take)
        except HeldTooLong:
            again = 0
        except Exception as error:  # noqa: BLE001  whatever one message does, the others must go on
            again = self._unreadable(message, f"it met a mistake of ours ({type(error).__name__})")
        if again is None:
            hand.done(message)
        else:
            hand.leave(message, again)

    async def _taken(self, message: Message, trouble: Trouble, take: Take) -> int | None:
        """None once everything in it is dealt with; else the seconds after which it is to come again."""
        said = notices.read(message.body)
        again = None
        for other in said.others:
            self._log.debug(DROP_IGNORED, message_id=message.id, reason=f"{other} announces no recording")
        for notice in said.created:
            try:
                await self._patiently(partial(self._announced.bring, notice, take), trouble, message.since)
            except Withheld as withheld:
                again = self._withheld(message, withheld)
        if said.fault is not None:
            return self._unreadable(message, said.fault)
        return again

    def _unreadable(self, message: Message, reason: str) -> int:
        self._log.warning(DROP_UNREADABLE, message_id=message.id, receives=message.receives, reason=reason)
        return self._pace.poison

    def _withheld(self, message: Message, withheld: Withheld) -> int:
        place, reason = withheld.place, str(withheld)
        self._log.warning(
            DROP_UNREADABLE,
            message_id=message.id,
            receives=message.receives,
            key=place.key,
            bucket=place.bucket,
            reason=reason,
        )
        if not withheld.denied:
            return self._pace.poison
        return min(self._pace.denied << min(message.receives - 1, 10), self._pace.longest_denied)

    async def _patiently(self, act: Callable[[], Awaitable[T]], trouble: Trouble, since: float) -> T:
        """What `act` gives, tried until what it needs is there. Raises HeldTooLong, and what else `act` raises."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                given = await act()
            except (Transient, StoreTrouble) as error:
                failures += 1
                seconds = self._pause(failures, error.retry_after if isinstance(error, Transient) else None)
                trouble.met(str(error) or type(error).__name__, seconds)
                if loop.time() + seconds > since + self._pace.hold:
                    raise HeldTooLong from error
                await asyncio.sleep(seconds)
            else:
                if failures:
                    trouble.over()
                return given

    def _pause(self, failures: int, retry_after: float | None) -> float:
        pause = min(self._pace.first_pause * 2.0 ** min(failures - 1, 10), self._pace.longest_pause)
        return max(pause, min(retry_after or 0.0, self._pace.longest_pause))

    async def _keep_matching(self, trouble: Trouble, take: Take) -> None:
        for seconds in self._pace.rematches:
            await asyncio.sleep(seconds)
            await self._match_again(trouble, take)

    async def _match_again(self, trouble: Trouble, take: Take) -> None:
        """Take what was left for want of a pipeline, if there is one now."""
        after = None
        while True:
            some, after = await self._patiently(partial(self._unmatched.kept, after), trouble, float("inf"))
            await self._match_some(some, trouble, take)
            if after is None:
                return

    async def _match_some(self, documents: Sequence[bytes], trouble: Trouble, take: Take) -> None:
        for number, document in enumerate(documents):
            if number % BREATHER == 0:
                await asyncio.sleep(0)
            try:
                notice = Notice.model_validate_json(document)
            except ValidationError:
                # Another version's; it may still come to be understood.
                continue
            if self._announced.wanted(notice):
                await self._patiently(partial(self._match, notice, take), trouble, float("inf"))

    async def _match(self, notice: Notice, take: Take) -> None:
        place = notice.places[0]
        try:
            if await self._announced.bring(notice, take):
                await self._unmatched.forget(place.uri)
        except Withheld as withheld:
            self._log.warning(DROP_UNREADABLE, key=place.key, bucket=place.bucket, reason=str(withheld))
