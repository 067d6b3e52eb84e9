"""Events that cannot be told for a while: the log says so in a form that alarms are set on, and then they are told."""

from pathlib import Path

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.emulator import Emulator, Faulty
from tests.premises import Premises, eventually
from tests.standin import totals
from tests.topics import Topic

DENIED = {"service": "sns", "operation": "Publish", "error": {"code": "AuthorizationError", "status": 403}}


@pytest.mark.anyio
async def test_what_a_topic_refuses_is_logged_at_each_try_and_told_when_it_takes_it(
    tmp_path: Path, standin: str, emulator: Emulator, faulty: Faulty
) -> None:
    topic = Topic.made(emulator)
    queue = topic.subscribed({"RawMessageDelivery": "true"})
    premises = Premises(tmp_path, standin, AFTERWORD_EVENTS=topic.arn)
    premises.drop("a.wav", "Good morning.", "Good bye.")
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with premises.serving():
            faulty.rules(DENIED)

            def tries() -> list[dict[str, object]]:
                # The names and the stage are what the stack's alarm filters by.
                return [line for line in lines if line["event"] == "job.retried" and line.get("stage") == "publish"]

            await eventually(lambda: len(tries()) >= 2)
            faulty.clear()
            told: list[bytes] = []

            def heard() -> bool:
                told.extend(message["Body"].encode() for message in queue.messages())
                return bool(told)

            await eventually(heard)
    for line in tries():
        assert line["log_level"] == "warning"
        assert topic.arn in str(line["error"])
        assert "sns:Publish" in str(line["error"])
        assert line["job_id"]
    assert len(set(told)) == 1
    assert totals(standin)["transcripts_billed"] == 1
