"""What jobs cost in DynamoDB's units, counted, and the documentation that says so."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.adapters.aws import Aws
from service.adapters.budget.fleet import FleetBudget
from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_items import Stored
from service.domain.job import Intent, Job, JobId, Kind, Moment, Recording, Status, TranscriptFacts, TranscriptId
from service.domain.models.allowance import Terms
from service.engine.row import Row, RowId
from service.stages.asking.dispatch import LOOK_EVERY
from tests.adapters.jobs_table import made, opened
from tests.contract.storing import DAY, NOW, Clock
from tests.emulator import Emulator
from tests.premises import Premises, until
from tests.standin import QUICK, running

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "dynamodb.md").read_text()
WEBHOOK = "https://hooks.example.com/callbacks/job_58f941778c57bf8d6135ac5526507244"
WRITES = {"put_item", "update_item", "delete_item", "transact_write_items", "batch_execute_statement"}


class Units:
    """Counts what is consumed in this process, by asking DynamoDB with each call."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.written = self.read = 0.0
        self._call = Aws.call
        patch.setattr(Aws, "call", self._counting())

    def _counting(self) -> Any:
        units = self

        async def call(aws: Aws, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
            if service == "dynamodb" and not operation.startswith("describe"):
                parameters["ReturnConsumedCapacity"] = "TOTAL"
            answer = await units._call(aws, service, operation, **parameters)
            told = answer.get("ConsumedCapacity", [])
            cost = sum(each["CapacityUnits"] for each in (told if isinstance(told, list) else [told]))
            if operation in WRITES:
                units.written += cost
            elif parameters.get("IndexName") != "due":
                units.read += cost
            return answer

        return call


def documented(what: str) -> list[float]:
    """The figures in the page's table row that begins so."""
    row = re.search(rf"^\| {re.escape(what)} \|(.*)\|$", PAGE, re.MULTILINE)
    assert row, what
    return [float(cell.replace(",", "")) for cell in row.group(1).split("|")]


async def test_a_recording_costs_what_the_documentation_says(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = Units(monkeypatch)
    with running(replace(QUICK, gateway_limit=100_000)) as standin:
        premises = Premises(tmp_path, standin, AFTERWORD_JOBS=f"dynamodb://{made(emulator)}")
        async with premises.serving():
            premises.drop("north/one.wav", "The kettle leaks.", "We send another one on Friday.")

            async def published() -> bool:
                return [row.status for row in (await premises.rows()).values()] == [Status.PUBLISHED]

            await premises.heard(1)
            read = units.read
            await until(published)
    written, documented_read = documented("a recording with three prompts, from drop to event")
    assert units.written == pytest.approx(written, rel=0.1)
    assert read == pytest.approx(documented_read, rel=0.25), (
        "besides the looks for what is due, which are the replica's"
    )


async def test_an_idle_look_costs_what_the_documentation_says(
    aws: Aws, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulated = []
    call = Aws.call

    async def counting(aws: Aws, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        answer = await call(aws, service, operation, ReturnConsumedCapacity="TOTAL", **parameters)
        emulated.append(answer["ConsumedCapacity"]["CapacityUnits"])
        return answer

    async with opened(aws, made(emulator), Clock()) as store:
        monkeypatch.setattr(Aws, "call", counting)
        assert await store.table.claim(9) == []
    each, monthly = documented("an idle replica, looking once a second")
    assert sum(emulated) == each
    assert monthly == round(each * 730 * 3600 / 1e6, 1), "millions of read units in a month of 730 hours"


async def test_an_idle_look_for_who_waits_costs_what_the_documentation_says(
    aws: Aws, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(aws, made(emulator), Clock()) as store:
        budget = FleetBudget(store.budgets, store.queues, terms=Terms(), clock=Clock())
        assert (await budget.take("m", 1)).count == 1
        units = Units(monkeypatch)
        assert [each.queued for each in await budget.standings()] == [0]
    each, monthly = documented("an idle replica, looking twice a minute for who waits for its one model")
    assert units.read == each
    assert monthly == round(each * 730 * 60 * 60 / LOOK_EVERY / 1e6, 1)


def job(key: str, audio_url: str | None) -> Row:
    """A row as it waits for the vendor, or, without a URL, at its fullest when all is noted."""
    reached = list(Status) if audio_url is None else [Status.RECEIVED, Status.SUBMITTED]
    recording = Recording(
        kind=Kind.OBJECT,
        uri=f"s3://recordings/{key}",
        key=key,
        name=key.rpartition("/")[2],
        location=f"recordings/{key}",
        etag="9a0364b9e99bb480dd25e1f0284c8555",
        version="3HL4kqtJvjVBH40Nrjfkd.3n9eYhQw2p",
        size=9_000_000,
        dropped_at="2026-01-31T10:00:00.123456Z",
    )
    whole = Job(
        id=JobId("job_58f941778c57bf8d6135ac5526507244"),
        recording=recording,
        pipeline="support-calls",
        transcript_pin="32f5a2e65e4b9274457a61f0ba0efa435829fc9c1027f2fa1",
        pipeline_digest="32f5a2e65e4b9274457a61f0ba0efa435829fc9c1027f2fa1",
        intent=None if audio_url is None else Intent(at=NOW, audio_url=audio_url, webhook_url=WEBHOOK),
        transcript=TranscriptFacts(id=TranscriptId("5bfd7a48-0b34-4d8a-8d55-2f6d4cf4f7f1"), ours=True, kept=True),
        timeline=tuple(Moment(at=NOW + n, run=1, status=status) for n, status in enumerate(reached)),
    )
    return Row(
        id=RowId(whole.id),
        status=Status.SUBMITTED,
        facts=whole.model_dump(mode="json", exclude_defaults=True),
        created_at=NOW + 0.123456,
        updated_at=NOW + 99.123456,
        due_at=NOW + 600.123456,
        subject="5bfd7a48-0b34-4d8a-8d55-2f6d4cf4f7f1",
        callbacks=1,
    )


def presigned(key: str, length: int) -> str | None:
    """As long as temporary credentials make them, if there is one; session tokens do not compress."""
    if not length:
        return None
    return f"https://recordings.s3.eu-west-1.amazonaws.com/{key}?X-Amz-Security-Token={noise(length)}"


def noise(length: int) -> str:
    """Characters that do not compress."""
    body = b"".join(items.digest(str(number)) for number in range(length // 16 + 1))
    return base64.urlsafe_b64encode(body).decode()[:length]


def size(item: items.Item) -> int:
    """Bytes as DynamoDB counts them: names and values; a number is about half a byte a digit."""
    return sum(len(name) + weight(*next(iter(value.items()))) for name, value in item.items())


def weight(kind: str, value: Any) -> int:
    if kind in {"BS", "SS"}:
        return sum(len(each) for each in value)
    return len(value) // 2 + 1 if kind == "N" else len(value)


@pytest.mark.parametrize(
    ("what", "key", "length"),
    [
        ("a usual key, after the submission", "calls/north/2026-01-31/one.mp3", 0),
        ("a usual key, in submission with a token of 1,000 characters", "calls/north/2026-01-31/one.mp3", 1_000),
        ("a key of 1,024 random characters, in submission with a token of 1,800", noise(1_024)[::-1], 1_800),
    ],
)
def test_rows_are_as_small_as_the_documentation_says(what: str, key: str, length: int) -> None:
    names = frozenset(items.digest(str(number)) for number in range(3))
    marks = tuple(items.digest(str(number)).hex()[:12] for number in range(4))
    stored = Stored(
        row=job(key, presigned(key, length)),
        added=marks[0],
        write=marks[1],
        heard=marks,
        names=names,
        owned=frozenset({"5bfd7a48-0b34-4d8a-8d55-2f6d4cf4f7f1"}),
    )
    [bytes_] = documented(what)
    found = size(items.item_of(stored, 90 * DAY))
    assert found == pytest.approx(bytes_, rel=0.05)
    assert found < 2_048 or length > 1_000
