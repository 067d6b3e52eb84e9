"""The endpoints of `/v2`."""

import asyncio
import time
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from service.simulator.account import Account
from service.simulator.documents import transcript_document
from service.simulator.faults import Call
from service.simulator.listing import list_document
from service.simulator.parameters import accept
from service.simulator.passages import CAPTION_CHARS, found_document, paragraphs_document, sentences_document, srt, vtt
from service.simulator.redaction import redacted_script
from service.simulator.transcripts import Transcript
from service.simulator.webhooks import redacted_audio_url
from service.simulator.wire import BAD_SCHEMA, UNKNOWN_ID, Json, RefusedError, Reply, own_url, read_json


async def upload(request: Request, account: Account) -> Response:
    async def handle() -> Reply:
        path, recording = await account.sounds.upload(request.stream(), account.options.max_upload_bytes)
        url = own_url(request) + path
        entry = account.ledger.uploaded(url, recording.sha256, recording.size)
        return Reply({"upload_url": url}, entry=entry)

    return await account.gate(request, Call(on="upload"), handle)


async def submit(request: Request, account: Account) -> Response:
    body = await read_json(request, BAD_SCHEMA)
    call = Call(
        on="submit",
        job=str(body.get("webhook_url") or ""),
        audio=str(body.get("audio_url") or ""),
        text=lambda: orjson.dumps(body).decode(),
    )
    return await account.gate(request, call, partial(_submit, request, account, body, call))


async def _submit(request: Request, account: Account, body: Json, call: Call) -> Reply:
    given, unknown = accept(body)
    account.ledger.ignored(unknown)
    entry = account.ledger.submitted(given)
    transcript = account.transcripts.create(given, account.faults.fate(call), entry, own_url(request))
    entry["transcript_id"] = transcript.id
    account.processing.accept(transcript)
    return Reply(transcript_document(transcript), entry=entry)


async def read(request: Request, account: Account) -> Response:
    async def handle() -> Reply:
        return Reply(transcript_document(_found(account, request)))

    return await account.gate(request, _call("read", account, request), handle)


async def list_transcripts(request: Request, account: Account) -> Response:
    async def handle() -> Reply:
        return Reply(list_document(account.transcripts, dict(request.query_params), own_url(request)))

    return await account.gate(request, Call(on="list"), handle)


async def delete(request: Request, account: Account) -> Response:
    async def handle() -> Reply:
        transcript = _found(account, request)
        if not transcript.ended:
            raise RefusedError(400, UNKNOWN_ID)
        if transcript.recording is not None:
            account.sounds.release(transcript.recording, deleted=True)
        # It looks `completed` from now on, also when it had failed (vendor API reference).
        transcript.deleted, transcript.status, transcript.error = True, "completed", None
        transcript.heard, transcript.recording, transcript.understood = None, None, None
        return Reply(transcript_document(transcript))

    return await account.gate(request, _call("delete", account, request), handle)


async def part(request: Request, account: Account) -> Response:
    """Sentences, paragraphs, captions and found words of a completed transcript."""

    async def handle() -> Reply:
        transcript = _found(account, request)
        if transcript.status != "completed":
            raise RefusedError(400, "Transcript is not completed yet. Please retry once its status is completed.")
        return _part(transcript, request)

    return await account.gate(request, _call("captions", account, request), handle)


def _part(transcript: Transcript, request: Request) -> Reply:
    match request.path_params["part"]:
        case "sentences":
            return Reply(sentences_document(transcript))
        case "paragraphs":
            return Reply(paragraphs_document(transcript))
        case "word-search":
            phrases = [phrase for phrase in request.query_params.get("words", "").split(",") if phrase.strip()]
            if not phrases:
                raise RefusedError(400, BAD_SCHEMA)
            return Reply(found_document(transcript, phrases))
        case "srt" | "vtt" as name:
            most = request.query_params.get("chars_per_caption", str(CAPTION_CHARS))
            if not most.isdecimal() or int(most) == 0:
                raise RefusedError(400, BAD_SCHEMA)
            return Reply((srt if name == "srt" else vtt)(transcript, int(most)), media_type="text/plain")
        case _:
            raise RefusedError(404, "Not found")


async def redacted_audio(request: Request, account: Account) -> Response:
    async def handle() -> Reply:
        transcript = _found(account, request)
        if transcript.deleted or transcript.status == "error" or not transcript.request.get("redact_pii_audio"):
            raise RefusedError(400, "Redacted audio is not available for this transcript")
        if not transcript.redacted_ready:
            return Reply({"status": "processing"}, 202)
        return Reply({"status": "redacted_audio_ready", "redacted_audio_url": redacted_audio_url(transcript)})

    return await account.gate(request, _call("captions", account, request), handle)


async def redacted_audio_file(request: Request, account: Account) -> Response:
    """The audio behind that link, without a key; as with a presigned link only GET will do, and only for a while.

    A script comes back as what is left of it; other recordings come back as they were.
    """
    name, _, form = request.path_params["name"].rpartition(".")
    transcript = account.transcripts.get(name)
    if transcript is None or transcript.recording is None or not transcript.redacted_ready:
        raise RefusedError(404, "Not found")
    made = transcript.links.get(request.query_params.get("X-Amz-Signature", ""))
    late = made is None or time.monotonic() - made > account.options.redacted_link_seconds
    if request.method == "HEAD" or late:
        raise RefusedError(403, "Forbidden")
    kind = "audio/wav" if form == "wav" else "audio/mpeg"
    left = await asyncio.to_thread(redacted_script, transcript)
    return Response(left, media_type=kind) if left else FileResponse(transcript.recording.path, media_type=kind)


async def upload_file(request: Request, account: Account) -> Response:
    """An upload's URL is of use to the vendor alone."""
    del request, account
    raise RefusedError(403, "AccessDenied")


def _call(on: str, account: Account, request: Request) -> Call:
    transcript = account.transcripts.get(request.path_params["transcript_id"])
    if transcript is None:
        return Call(on=on, transcript_id=request.path_params["transcript_id"])
    return Call(on=on, transcript_id=transcript.id, job=transcript.webhook_url, audio=transcript.audio_url)


def _found(account: Account, request: Request) -> Transcript:
    transcript = account.transcripts.get(request.path_params["transcript_id"])
    if transcript is None:
        raise RefusedError(400, UNKNOWN_ID)
    return transcript
