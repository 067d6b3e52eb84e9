"""When a webhook secret may be taken out: `check` knows what AssemblyAI still holds tokens of."""

import asyncio
from collections.abc import Mapping

import pytest

from service.cli import rotation
from service.domain.job import Intent, Status
from service.domain.tokens import key_id
from service.engine.row import Row
from service.settings.load import Settings
from service.wiring import amazon, opened_store
from tests.cli.desk import Desk, Service, eventually
from tests.cli.rows import job, row

OLD, NEW = "o" * 32, "n" * 32
MISSING = "AFTERWORD_WEBHOOK_SECRETS"


def submitted(name: str, secret: str | None, status: Status = Status.SUBMITTED) -> Row:
    signed_by = key_id(secret) if secret else None
    intent = Intent(at=1.0, audio_url="https://x.example", webhook_url="https://y.example", signed_by=signed_by)
    return row(name, status, facts=job(name, status).model_copy(update={"intent": intent}))


def stored(desk: Desk, *rows: Row) -> None:
    async def store() -> None:
        with amazon() as aws:
            async with opened_store(Settings.load({"ASSEMBLYAI_API_KEY": "x"}), aws) as store:
                for each in rows:
                    await store.table.add(each, [])

    asyncio.run(store())


def problems(desk: Desk, secrets: str) -> Mapping[str, str]:
    desk.environ(MISSING, secrets)
    return {each["place"]: f"{each['what']}; {each['cure']}" for each in desk("check", "--json").json["problems"]}


def test_a_secret_that_callbacks_still_need_must_stay(configured: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "PAGE", 2)
    stored(
        configured,
        *(submitted(f"job_{number}", OLD) for number in range(3)),
        submitted("job_n", NEW),
        submitted("job_r", OLD, Status.RECEIVED),
        submitted("job_u", None),
        *(submitted(f"job_{status}", OLD, status) for status in (Status.TRANSCRIBED, Status.PUBLISHED)),
    )
    assert problems(configured, f"{NEW},{OLD}") == {}
    found = problems(configured, NEW)
    assert list(found) == [MISSING]
    assert found[MISSING].startswith("4 jobs wait for callbacks made with a secret that is not among them")
    assert "put the old secret back at the end of the list" in found[MISSING]
    assert OLD not in str(found)
    assert configured("check", "--offline").code == 0


def test_what_is_submitted_names_the_secret_that_signed_it(configured: Desk, standin: str) -> None:
    configured.configure(standin, **{MISSING: f"{NEW},{OLD}"})
    configured.record("inbox/calls/a.wav")
    with Service(configured.folder):
        eventually((configured.folder / "events.jsonl").exists)

    async def intents() -> list[object]:
        with amazon() as aws:
            async with opened_store(Settings.load({"ASSEMBLYAI_API_KEY": "x"}), aws) as store:
                return [each.facts["intent"] for each in await store.jobs.page()]

    [intent] = asyncio.run(intents())
    assert isinstance(intent, dict)
    assert intent["signed_by"] == key_id(NEW)
    assert NEW not in str(intent)
