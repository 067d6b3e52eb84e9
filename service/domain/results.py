"""The documents that a run leaves behind: transcript.json, transcript.txt and, last of all, result.json.

result.json is the event's `data` with all answers in full, and besides `deployment`, `usage`, `timings` and
`request_ids`, and at a prompt without a valid answer what was answered, as `raw`. Once stored it is all that the event
is made of.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict

from service.domain.asking.answers import Answer
from service.domain.errors import StorageTrouble
from service.domain.job import Failure, Job, JobId, Outcome, Recording, Status, TranscriptFacts, Verdict
from service.domain.times import rfc3339
from service.domain.transcript import Document, Utterance, Word
from service.domain.use.spending import run_usage

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
CAPTIONS: Final[Mapping[str, str]] = {"srt": "application/x-subrip", "vtt": "text/vtt; charset=utf-8"}
AUDIO: Final[Mapping[str, str]] = {"mp3": "audio/mpeg", "wav": "audio/wav"}

WHERE_ASKED_FOR: Final = frozenset({"speech_understanding", "translated_texts"})
"""Fields of a transcript that are there only where something was asked for."""
TRANSLATED: Final = "translated_texts"

RESULT_ONLY: Final = frozenset({"deployment", "usage", "timings", "request_ids"})
"""What a result holds beyond the event's data."""

RAW: Final = "raw"
"""What a result holds beyond it at a prompt."""

NOTHING_RAW: Final[Mapping[str, str]] = MappingProxyType({})


def transcript_json(document: Document) -> bytes:
    """`text`, `words`, `utterances`, `confidence`, `language`, `duration`; times of words in integer milliseconds.

    Where the request asked for it, also `speech_understanding` and `translated_texts`.
    """
    # Words become dictionaries one by one inside the serialiser: ten hours of them at once weigh too much.
    fields = {name: getattr(document, name) for name in Document.model_fields}
    told = {name: value for name, value in fields.items() if value is not None or name not in WHERE_ASKED_FOR}
    return orjson.dumps(told, default=_spoken)


def _spoken(fact: Word | Utterance) -> dict[str, object]:
    fields = fact.model_dump()
    return {name: value for name, value in fields.items() if value is not None or name not in {"channel", TRANSLATED}}


def transcript_txt(document: Document) -> bytes:
    """The text and nothing else."""
    return document.text.encode()


def result_json(
    deployment: str,
    job: Job,
    answers: Mapping[str, Answer | Failure],
    files: Mapping[str, str],
    raw: Mapping[str, str] = NOTHING_RAW,
) -> bytes:
    """The result of the job's present run, whose verdict is on it.

    `answers` stand in the pipeline's order; `files` are the URIs of those that exist, the result's own included; `raw`
    is what was answered to prompts that failed for it. Raises ValueError for a job without a verdict.
    """
    if job.verdict is None:
        raise ValueError(f"{job.id} has no verdict yet")
    data = {
        "job_id": job.id,
        "run": job.run,
        "pipeline": job.pipeline,
        "pipeline_digest": job.pipeline_digest,
        "outcome": job.verdict.outcome,
        "recording": _recording(job.recording),
        "transcript": _transcript(job.transcript),
        "answers": {prompt: {**_answer(answer), **_raw(raw.get(prompt))} for prompt, answer in answers.items()},
        "files": dict(files),
        **_ending(job.verdict),
        "deployment": deployment,
        "usage": run_usage(job, answers),
        "timings": _timings(job, job.verdict),
        "request_ids": {prompt: answer.request_id for prompt, answer in answers.items() if answer.request_id},
    }
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _recording(recording: Recording) -> dict[str, object]:
    return {
        "uri": recording.uri,
        "key": recording.key,
        "name": recording.name,
        "size": recording.size,
        "version": recording.version,
        "dropped_at": recording.dropped_at,
        "metadata": dict(recording.metadata),
    }


def _transcript(facts: TranscriptFacts | None) -> dict[str, object] | None:
    if facts is None:
        return None
    return {"id": facts.id, "language": facts.language, "duration": facts.duration}


def _answer(answer: Answer | Failure) -> dict[str, object]:
    if isinstance(answer, Failure):
        return {"error": _error(answer), **({} if answer.usage is None else {"usage": answer.usage.told()})}
    # A structured answer is told parsed; its text as the model wrote it is in answers/{prompt}.json.
    told = {"content": answer.content} if answer.value is None else {"value": answer.value}
    return {**told, "model": answer.model, "usage": answer.usage.told()}


def _raw(words: str | None) -> dict[str, object]:
    return {} if words is None else {RAW: words}


def _error(failure: Failure) -> dict[str, object]:
    return {"code": failure.code, "message": failure.message}


def _ending(verdict: Verdict) -> dict[str, object]:
    ending: dict[str, object] = {}
    if verdict.error is not None:
        ending["error"] = _error(verdict.error)
    if verdict.skipped is not None:
        ending["skipped"] = verdict.skipped
    return ending


def _timings(job: Job, verdict: Verdict) -> dict[str, object]:
    transcribed = [moment.at for moment in job.timeline if moment.status is Status.TRANSCRIBED]
    return {
        "dropped_at": job.recording.dropped_at,
        "submitted_at": None if job.submitted_at is None else rfc3339(job.submitted_at),
        "transcribed_at": rfc3339(min(transcribed)) if transcribed else None,
        "decided_at": verdict.at,
    }


class _Recording(BaseModel):
    uri: str


class _Timings(BaseModel):
    decided_at: str


class StoredResult(BaseModel):
    """What an event's envelope needs of a stored result, and `document`: all of it."""

    # A newer replica may have stored more than this one knows.
    model_config = ConfigDict(frozen=True, extra="ignore")

    deployment: str
    job_id: JobId
    run: int
    pipeline: str
    outcome: Outcome
    recording: _Recording
    timings: _Timings
    document: Mapping[str, object]

    @property
    def data(self) -> dict[str, object]:
        """The event's data, with all answers in full."""
        told = {name: value for name, value in self.document.items() if name not in RESULT_ONLY}
        answers = self.document.get("answers")
        if isinstance(answers, dict):
            told["answers"] = {
                prompt: {name: value for name, value in answer.items() if name != RAW}
                for prompt, answer in answers.items()
            }
        return told


def stored_result(body: bytes, key: str) -> StoredResult:
    """The result that was stored at `key`. Raises Unavailable when something else lies there now."""
    try:
        document = orjson.loads(body)
        return StoredResult.model_validate(document | {"document": document})
    except (ValueError, TypeError):
        raise StorageTrouble(f"{key} among the results is not a result of ours; restore or remove it") from None
