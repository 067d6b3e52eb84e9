"""One event of each outcome, as they stand in docs/events.

`python -m tests.unit.event_samples` writes them, and the schemas, anew.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from service.domain.asking.answers import Answer
from service.domain.attributes import evaluate
from service.domain.errors import Code
from service.domain.events import Event, event
from service.domain.identity import file_uri, job_id
from service.domain.job import (
    Failure,
    Job,
    Kind,
    Moment,
    Outcome,
    Recording,
    Status,
    TranscriptFacts,
    TranscriptId,
    Verdict,
)
from service.domain.pipelines.raw import json_schema
from service.domain.places import place
from service.domain.results import result_json, stored_result
from service.domain.schemas import event_schema
from service.domain.use.usage import Usage

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = {"event.v1.json": event_schema(), "pipelines.json": json_schema()}
"""By their files in docs/schemas."""
DEPLOYMENT = "afterword"
RECORDING = Recording(
    kind=Kind.FILE,
    uri=file_uri("/srv/inbox/calls/2026-03-02 Müller.mp3"),
    key="calls/2026-03-02 Müller.mp3",
    name="2026-03-02 Müller.mp3",
    location="/srv/inbox/calls/2026-03-02 Müller.mp3",
    size=481_280,
    digest="5d" * 32,
    dropped_at="2026-03-02T09:15:00.250Z",
    metadata={"agent": "17"},
)
TRANSCRIPT = TranscriptFacts(
    id=TranscriptId("9ea68fd3-f953-42c1-9742-976c447fb463"), ours=True, language="en-US", duration=94
)
SUMMARY = Answer(
    prompt="summary",
    digest="1c" * 32,
    content="The customer's parcel (Größe M) was lost; a new one is on its way.",
    model="claude-sonnet-4-6",
    usage=Usage(input_tokens=420, output_tokens=16, total_tokens=436, requests=1, estimated_cost=0.0015),
    finish_reason="stop",
    request_id="0a6f8a86-2a6c-4b8f-9a30-8f8f3d0f1c11",
    answered_at="2026-03-02T09:16:12.500Z",
)
NEXT_STEPS = SUMMARY.model_copy(
    update={
        "prompt": "next-steps",
        "content": "1. Send the tracking number.\n2. Refund the postage.",
        "request_id": "4be5a1d0-3f65-41a8-9f0c-3d2a8d2c9a77",
    }
)
TRIAGE = SUMMARY.model_copy(
    update={
        "prompt": "triage",
        "content": '{"sentiment": "negative", "topics": ["lost parcel", "refund"], "customer": {"tier": "gold"}}',
        "value": {"sentiment": "negative", "topics": ["lost parcel", "refund"], "customer": {"tier": "gold"}},
        "request_id": "7d0b7c52-91a4-4f0b-8a35-6c1e5a0c2b44",
    }
)
TRUNCATED = Failure(
    code=Code.PROMPT_TRUNCATED,
    message="the answer was cut off at max_tokens = 1000; allow more or ask for less",
    request_id="b1a7c0de-77aa-4c55-8d15-0c3f4f6f7e01",
)
UNREADABLE = Failure(code=Code.TRANSCRIPTION_FAILED, message="Audio duration is too short.")


def job(verdict: Verdict, *, transcript: TranscriptFacts | None = TRANSCRIPT, run: int = 1) -> Job:
    return Job(
        id=job_id(DEPLOYMENT, RECORDING),
        recording=RECORDING,
        pipeline="support-calls",
        run=run,
        submitted_at=1772442901.0,
        pipeline_digest="7f" * 32,
        transcript=transcript,
        verdict=verdict,
        timeline=(
            Moment(at=1772442901.0, run=1, status=Status.SUBMITTED),
            Moment(at=1772442962.125, run=1, status=Status.TRANSCRIBED),
            Moment(at=1772442999.0, run=2, status=Status.TRANSCRIBED),
        ),
    )


def verdict(outcome: Outcome, error: Failure | None = None, skipped: str | None = None) -> Verdict:
    return Verdict(outcome=outcome, at="2026-03-02T09:16:13.000Z", error=error, skipped=skipped)


def files(ended: Job) -> dict[str, str]:
    where = place(ended.pipeline, ended.recording.key, ended.id)
    keys = {"result": where.result(ended.run)}
    if ended.transcript is not None and ended.verdict is not None and ended.verdict.error is None:
        keys |= {"transcript_json": where.transcript_json, "transcript_txt": where.transcript_txt}
    return {name: file_uri(f"/srv/results/{key}") for name, key in keys.items()}


def result_of(ended: Job, answers: Mapping[str, Answer | Failure]) -> bytes:
    return result_json(DEPLOYMENT, ended, answers, files(ended))


def event_of(ended: Job, answers: Mapping[str, Answer | Failure], **pointers: str) -> Event:
    stored = stored_result(result_of(ended, answers), "result.json")
    return event(stored, evaluate(pointers, stored.data))


def samples() -> dict[str, Event]:
    """By the name of the file that shows it."""
    long = SUMMARY.model_copy(update={"content": "word " * 60_000})
    unheard = TRANSCRIPT.model_copy(update={"language": None, "duration": None})
    answered = {"summary": SUMMARY, "next-steps": NEXT_STEPS, "triage": TRIAGE}
    return {
        "complete": event_of(job(verdict(Outcome.COMPLETE)), answered, sentiment="answers.triage.sentiment"),
        "partial": event_of(job(verdict(Outcome.PARTIAL)), {"summary": SUMMARY, "coaching": TRUNCATED}),
        "failed": event_of(job(verdict(Outcome.FAILED, UNREADABLE), transcript=unheard, run=2), {}),
        "no_speech": event_of(job(verdict(Outcome.COMPLETE, skipped="no_speech")), {}),
        "answers_omitted": event_of(job(verdict(Outcome.COMPLETE)), {"summary": long}),
    }


def pretty(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, sample in samples().items():
        (DOCS / "events" / f"{name}.json").write_text(pretty(json.loads(sample.body)), encoding="utf-8")
    for name, schema in SCHEMAS.items():
        (DOCS / "schemas" / name).write_text(pretty(schema), encoding="utf-8")
