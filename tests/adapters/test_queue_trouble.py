"""A queue whose messages, bucket, store or network are in trouble: nothing is lost, nothing stops the others."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from service.adapters.drops.queue_check import problems
from service.domain.errors import Unavailable
from service.domain.job import Recording
from service.engine.errors import StoreTrouble
from tests.contract.dropping import Taken, until
from tests.contract.queueing import PACE, RECEIVES, Post, events, post, taken_of
from tests.emulator import Faulty, client

pytestmark = pytest.mark.anyio

__all__ = ["post"]

LOCKED = StoreTrouble("the store is locked")


@pytest.fixture
def ready(faulty: Faulty) -> Faulty:
    """The proxy after its first requests, which take it seconds: nothing of ours is to be measured by them."""
    client("sqs", faulty.url).list_queues(MaxResults=1)
    client("s3", faulty.url).list_buckets()
    return faulty


class Shut:
    """Takes nothing while `error` is set; counts what was tried and how many at once."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.tries: list[str] = []
        self.keys: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.inside = self.most = 0

    async def __call__(self, recording: Recording, names: Sequence[str]) -> None:
        self.tries.append(recording.key)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.gate.wait()
        finally:
            self.inside -= 1
        if self.error is not None:
            raise self.error
        self.keys.append(recording.key)


def announced(post: Post, *keys: str) -> None:
    for key in keys:
        post.send(post.notice(key, eTag=post.put(key)))


async def test_an_unreadable_message_ends_among_the_dead_letters_and_the_good_ones_are_taken(post: Post) -> None:
    half = post.notice("half.mp3", eTag=post.put("half.mp3"))
    half["Records"].append({"eventName": "ObjectCreated:Put", "s3": "of it"})
    taken = Taken()
    announced(post, "one.mp3")
    post.send("<secret>", half)
    announced(post, "two.mp3")
    with capture_logs() as logs:
        async with post.watching(taken):
            await until(lambda: post.settled() and len(post.given_up()) == 2)
    assert set(taken.keys) == {"half.mp3", "one.mp3", "two.mp3"}
    told = [entry for entry in events(logs, "drop.unreadable") if entry["reason"] == "it is not JSON"]
    assert [entry["receives"] for entry in told] == list(range(1, RECEIVES + 1))
    assert len({entry["message_id"] for entry in told}) == 1
    assert "secret" not in str(logs)


async def test_a_mistake_of_ours_in_one_message_stops_no_other(post: Post) -> None:
    class Mistaken(Taken):
        async def __call__(self, recording: Recording, names: Sequence[str]) -> None:
            if recording.key == "bad.mp3":
                raise KeyError("s3cret")
            await super().__call__(recording, names)

    announced(post, "bad.mp3", "good.mp3")
    taken = Mistaken()
    with capture_logs() as logs:
        async with post.watching(taken):
            await until(lambda: len(post.given_up()) == 1 and taken.keys == ["good.mp3"])
    assert {entry["reason"] for entry in events(logs, "drop.unreadable")} == {"it met a mistake of ours (KeyError)"}
    assert "s3cret" not in str(logs)


async def test_what_s3_withholds_is_told_and_comes_again_until_it_is_a_dead_letter(post: Post, ready: Faulty) -> None:
    announced(post, "one.mp3", "two.mp3")
    denied = {"code": "AccessDenied", "status": 403, "message": "no"}
    ready.rules({"service": "s3", "operation": "HeadObject", "error": denied})
    with capture_logs() as logs:
        async with post.watching(Taken()):
            await until(lambda: len(post.given_up()) == 2)
    told = events(logs, "drop.unreadable")
    assert {(entry["key"], entry["bucket"]) for entry in told} == {(f"{n}.mp3", post.bucket) for n in ("one", "two")}
    assert all("; allow the service s3:GetObject" in str(entry["reason"]) for entry in told)
    assert len(told) == 2 * RECEIVES


async def test_while_the_store_is_in_trouble_messages_are_held_and_none_is_received(post: Post) -> None:
    shut = Shut(LOCKED)
    announced(post, "one.mp3", "two.mp3")
    with capture_logs() as logs:
        async with post.watching(shut):
            await until(lambda: shut.tries.count("one.mp3") > 2 * RECEIVES)
            announced(post, "three.mp3", "four.mp3")
            seen = len(shut.tries)
            await until(lambda: len(shut.tries) > seen + 10)
            assert post.waiting() == (2, 2)
            shut.error = None
            await until(lambda: sorted(shut.keys) == ["four.mp3", "one.mp3", "three.mp3", "two.mp3"])
            await until(post.settled)
    assert post.given_up() == []
    assert [entry["reason"] for entry in events(logs, "drops.failed")] == ["the store is locked"]
    assert [entry["event"] for entry in events(logs, "drops.failed", "drops.watched")] == [
        "drops.watched",
        "drops.failed",
        "drops.watched",
    ]


async def test_one_recording_that_cannot_be_taken_does_not_keep_all_others_out_for_ever(post: Post) -> None:
    class Picky(Taken):
        async def __call__(self, recording: Recording, names: Sequence[str]) -> None:
            if recording.key == "one.mp3":
                raise Unavailable("its place is away")
            await super().__call__(recording, names)

    taken = Picky()
    announced(post, "one.mp3")
    pace = replace(PACE, probe=0.05, first_pause=60.0, longest_pause=60.0)
    with capture_logs() as logs:
        async with post.watching(taken, pace=pace):
            await until(lambda: bool(events(logs, "drops.failed")))
            announced(post, "two.mp3", "three.mp3")
            await until(lambda: taken.keys == ["three.mp3", "two.mp3"])
    assert [entry["event"] for entry in events(logs, "drops.failed", "drops.watched")][1:] == [
        "drops.failed",
        "drops.watched",
    ]


async def test_what_is_in_work_stays_invisible_and_is_never_more_than_the_bound(post: Post) -> None:
    shut = Shut()
    shut.gate.clear()
    announced(post, *(f"{number}.mp3" for number in range(8)))
    # Twice as long in work as a message stays invisible.
    async with post.watching(shut, pace=replace(PACE, at_once=5, visible=1, extend=0.2)):
        await until(lambda: shut.inside == 5)
        await asyncio.sleep(2)
        assert post.waiting() == (3, 5)
        assert len(shut.tries) == 5
        shut.gate.set()
        await until(post.settled)
    assert len(shut.keys) == 8
    assert shut.most == 5


async def test_what_was_held_for_too_long_is_handed_back(post: Post) -> None:
    shut = Shut(LOCKED)
    announced(post, "one.mp3")
    async with post.watching(shut, pace=replace(PACE, hold=0.0, probe=60.0)):
        await until(lambda: bool(shut.tries) and post.waiting() == (1, 0))
    assert set(shut.tries) == {"one.mp3"}


@pytest.mark.parametrize("error", [None, LOCKED])
async def test_stopping_hands_back_what_is_in_hand_at_once(post: Post, error: Exception | None) -> None:
    shut = Shut(error)
    if error is None:
        shut.gate.clear()
    announced(post, "one.mp3", "two.mp3")
    async with post.watching(shut, pace=replace(PACE, extend=0.01)):
        await until(lambda: len(set(shut.tries)) == 2)
    assert post.waiting() == (2, 0)
    assert (await taken_of(post)).keys == ["one.mp3", "two.mp3"]


async def test_what_comes_while_the_last_poll_is_out_is_handed_back_too(post: Post) -> None:
    watch = asyncio.create_task(post.drops(pace=replace(PACE, poll=5)).watch(Taken()))
    # The poll is out once nothing else is to be done.
    await asyncio.sleep(0.2)
    watch.cancel()
    await asyncio.sleep(0.05)
    assert not watch.done()
    begun = time.monotonic()
    announced(post, "one.mp3")
    await asyncio.wait([watch])
    assert watch.cancelled()
    assert post.waiting() == (1, 0)
    assert time.monotonic() - begun < 3


async def test_a_delete_that_is_denied_is_told_and_only_means_a_redelivery(post: Post, ready: Faulty) -> None:
    ready.rules(
        {
            "service": "sqs",
            "operation": "DeleteMessageBatch",
            "times": 1,
            "error": {"code": "AccessDenied", "status": 403},
        }
    )
    announced(post, "one.mp3")
    taken = Taken()
    with capture_logs() as logs:
        async with post.watching(taken, pace=replace(PACE, visible=1)):
            await until(lambda: len(taken.recordings) == 2)
            await until(post.settled)
    assert set(taken.keys) == {"one.mp3"}
    [told] = events(logs, "drops.failed")
    assert (told["log_level"], told["operation"]) == ("warning", "delete_message_batch")


@pytest.mark.parametrize(
    ("service", "operation", "status"),
    [("sqs", "ReceiveMessage", 403), ("s3", "HeadObject", 503)],
)
async def test_aws_in_trouble_is_told_once_and_waited_for(
    post: Post, ready: Faulty, service: str, operation: str, status: int
) -> None:
    ready.rules({"service": service, "operation": operation, "error": {"code": "SlowDown", "status": status}})
    announced(post, "one.mp3")
    taken = Taken()
    with capture_logs() as logs:
        async with post.watching(taken):
            await until(lambda: bool(events(logs, "drops.failed")))
            ready.clear()
            await until(lambda: taken.keys == ["one.mp3"])
            await until(post.settled)
    [told] = events(logs, "drops.failed")
    assert str(told["reason"]).startswith(f"{service} says")
    assert events(logs, "drops.failed", "drops.watched")[-1]["event"] == "drops.watched"


async def test_a_missing_queue_is_told_once_and_waited_for(post: Post) -> None:
    post.sqs.delete_queue(QueueUrl=post.url)
    taken = Taken()
    with capture_logs() as logs:
        async with post.watching(taken):
            await until(lambda: bool(events(logs, "drops.failed")))
            post.sqs.create_queue(QueueName=post.queue)
            announced(post, "one.mp3")
            await until(lambda: taken.keys == ["one.mp3"])
    assert "NonExistentQueue" in str(events(logs, "drops.failed")[0]["reason"])


async def test_what_no_pipeline_takes_is_remembered_and_taken_once_one_does(post: Post) -> None:
    def picky(key: str, uri: str) -> bool:
        return key.endswith(".mp3")

    announced(post, "a b.ogg", "gone.ogg", "secret.ogg")
    post.send(post.notice("lost.ogg", size=5), post.notice("a b.ogg"))
    first = await taken_of(post, wanted=picky)
    assert set(first.keys) == {"a b.ogg", "gone.ogg", "lost.ogg", "secret.ogg"}
    assert len(first.keys) == 4
    post.s3.delete_object(Bucket=post.bucket, Key="gone.ogg")
    post.remembered.documents["another version's"] = b'{"keys": [], "novelty": 1}'
    left = {"another version's", f"s3://{post.bucket}/secret.ogg"}
    second = Taken()
    async with post.watching(second, wanted=lambda key, uri: "secret" not in key):
        await until(lambda: set(post.remembered.documents) == left)
    assert second.keys == ["a b.ogg", "gone.ogg"]
    assert all(recording.etag is not None for recording in second.recordings)


async def test_what_is_remembered_waits_for_the_memory_and_the_store(post: Post) -> None:
    post.remembered.trouble = [LOCKED]
    announced(post, "a.ogg")
    assert (await taken_of(post, wanted=lambda key, uri: False)).keys == ["a.ogg"]
    taken = Taken(trouble=[LOCKED])
    post.remembered.trouble = [LOCKED]
    async with post.watching(taken):
        await until(lambda: not post.remembered.documents)
    assert taken.keys == ["a.ogg"]


async def test_trouble_with_what_is_known_to_be_unmatched_is_over_when_it_is(post: Post) -> None:
    taken = Taken()
    announced(post, "a.ogg")
    async with post.watching(taken, wanted=lambda key, uri: key.endswith(".mp3")):
        await until(lambda: taken.keys == ["a.ogg"])
        post.remembered.trouble = [LOCKED]
        announced(post, "a.ogg")
        await until(lambda: not post.remembered.trouble and post.settled())
        announced(post, "one.mp3")
        await until(lambda: taken.keys == ["a.ogg", "one.mp3"])


async def test_a_queue_that_may_not_be_read_is_a_problem(post: Post, ready: Faulty) -> None:
    for operation in ("GetQueueAttributes", "ReceiveMessage"):
        error = {"code": "AccessDenied", "status": 403}
        ready.rules({"service": "sqs", "operation": operation, "error": error})
        [problem], doubts = await problems(post.aws, post.url)
        assert "may not be read" in problem.what
        assert f"allow sqs:{operation}" in problem.cure
        assert not doubts
