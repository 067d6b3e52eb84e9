"""The LLM Gateway's endpoints."""

import asyncio
import time
import uuid
from functools import partial
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.simulator.account import Account
from service.simulator.asking import BAD_BODY, check
from service.simulator.catalogue import Model, catalogue
from service.simulator.completions import Completion, complete, completion_document
from service.simulator.documents import text_of, utterance_documents
from service.simulator.faults import ANSWERS, UPSTREAM, Call
from service.simulator.injection import has_tag, inject, messages_of
from service.simulator.streaming import events
from service.simulator.transcripts import Transcript
from service.simulator.understanding import check_request, understand
from service.simulator.wire import Json, RefusedError, Reply, read_json

SERVICE: Final = "llmgw"
UNDERSTANDING: Final = "speech-understanding"


def models_of(account: Account) -> dict[str, Model]:
    return account.faults.offered(catalogue())


async def list_models(request: Request, account: Account) -> Response:
    async def handle() -> Reply:
        return Reply({"data": [model.document() for model in models_of(account).values()]})

    return await account.gate(request, Call(on="models"), handle)


async def create_completion(request: Request, account: Account) -> Response:
    body = await read_json(request, BAD_BODY)
    transcript = account.transcripts.get(str(body.get("transcript_id") or ""))
    call = Call(
        on="ask",
        model=str(body.get("model")),
        transcript_id=str(body.get("transcript_id") or ""),
        job=transcript.webhook_url if transcript else "",
        audio=transcript.audio_url if transcript else "",
        text=lambda: orjson.dumps(body).decode(),
    )
    return await account.gate(request, call, partial(_answer, account, body, call))


async def _answer(account: Account, body: Json, call: Call) -> Reply:
    started = time.perf_counter_ns()
    models = check(body, models_of(account))
    standing = account.windows.count(models[0].id)
    headers = standing.headers(models[0].id, SERVICE)
    if standing.exceeded:
        raise RefusedError(429, "too many requests for this action", headers=headers)
    await asyncio.sleep(account.options.answer_seconds)
    completion = await _completion(account, body, models, call)
    request_id = str(uuid.uuid4())
    entry: Json = {
        "request_id": request_id,
        "model": completion.model.id,
        "transcript_id": body.get("transcript_id"),
        "prompt_digest": completion.digest,
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
        "status": 200,
        "finish_reason": completion.finish_reason,
        "billed": True,
        "answer_seen": True,
    }
    account.ledger.asked(entry)
    if body.get("stream"):
        stream = b"".join(events(body, completion, request_id))
        return Reply(stream, headers=headers, media_type="text/event-stream", entry=entry)
    document = completion_document(body, completion, request_id, time.perf_counter_ns() - started)
    return Reply(document, headers=headers, entry=entry)


async def _completion(account: Account, body: Json, models: list[Model], call: Call) -> Completion:
    """Tries the primary, once more after a pause, then the fallbacks, as the Gateway does with a model that fails."""
    config = body.get("fallback_config") or {}
    overrides = [{}, *(body.get("fallbacks") or [])]
    tries = list(zip(models, overrides, strict=True))[: 1 + config.get("depth", 1)]
    if config.get("retry", True):
        tries.insert(1, tries[0])
    status = 502
    for number, (model, override) in enumerate(tries):
        attempt = Call(
            on="ask", model=model.id, transcript_id=call.transcript_id, job=call.job, audio=call.audio, text=call.text
        )
        down = account.faults.draw(attempt, UPSTREAM)
        if not down:
            wanted = body | override
            messages, text = _rendered(account, wanted)
            drawn = account.faults.draw(attempt, ANSWERS)
            return complete(wanted, model, messages, text, drawn)
        status = down[0].given["status"]
        if number == 0 and config.get("retry", True):
            await asyncio.sleep(account.options.upstream_retry_seconds)
    raise RefusedError(status, "upstream model error")


def _rendered(account: Account, body: Json) -> tuple[list[Json], str | None]:
    """The messages as the model gets them, and the transcript's text if a tag was filled."""
    messages = messages_of(body)
    if not body.get("transcript_id") or not has_tag(messages):
        return messages, None
    text = text_of(_transcript(account, str(body["transcript_id"])))
    return inject(messages, text), text


def _transcript(account: Account, transcript_id: str) -> Transcript:
    transcript = account.transcripts.get(transcript_id)
    if transcript is None:
        raise RefusedError(404, "transcript not found")
    if transcript.deleted:
        raise RefusedError(404, "transcript deleted")
    if transcript.status != "completed" and account.options.refuse_unfinished:
        raise RefusedError(400, "transcript is not completed")
    return transcript


async def create_understanding(request: Request, account: Account) -> Response:
    body = await read_json(request, BAD_BODY)
    call = Call(on="understanding", transcript_id=str(body.get("transcript_id") or ""))

    async def handle() -> Reply:
        wanted = check_request((body.get("speech_understanding") or {}).get("request"))
        headers = _count_understanding(account)
        transcript = _transcript(account, str(body.get("transcript_id") or ""))
        assert transcript.heard is not None
        labelled = transcript.request.get("speaker_labels") or transcript.multichannel
        if "speaker_identification" in wanted and not labelled:
            raise RefusedError(400, "speaker_labels or multichannel required", headers=headers)
        response = understand(wanted, transcript.heard, utterance_documents(transcript))
        answer = {"speech_understanding": {"request": wanted, "response": response}, "request_id": str(uuid.uuid4())}
        return Reply(answer, headers=headers)

    return await account.gate(request, call, handle)


async def validate_understanding(request: Request, account: Account) -> Response:
    body = await read_json(request, BAD_BODY)

    async def handle() -> Reply:
        wanted = check_request((body.get("speech_understanding") or {}).get("request"))
        if body.get("transcript_id"):
            _transcript(account, str(body["transcript_id"]))
        return Reply({"speech_understanding": {"request": wanted}, "request_id": str(uuid.uuid4())})

    return await account.gate(request, Call(on="understanding"), handle)


def _count_understanding(account: Account) -> dict[str, str]:
    standing = account.windows.count(UNDERSTANDING)
    headers = standing.headers("", UNDERSTANDING) | {"X-RateLimit-Feature": "understanding"}
    if standing.exceeded:
        raise RefusedError(429, "too many requests for this action", headers=headers)
    return headers
