"""`GET /v2/transcript`: newest first, in pages."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from service.simulator.documents import list_item
from service.simulator.transcripts import Transcript, Transcripts
from service.simulator.wire import BAD_SCHEMA, UNKNOWN_ID, Json, RefusedError

DEFAULT_LIMIT: Final = 10
MOST: Final = 200
MIX_UP: Final = "'after_id' must be a newer transcript than 'before_id'"


def list_document(transcripts: Transcripts, query: Mapping[str, str], base_url: str) -> Json:
    """`prev_url` leads to older transcripts, `next_url` to newer ones. Raises RefusedError (400) for a bad query."""
    limit = _limit(query)
    before = _named(transcripts, query.get("before_id"))
    after = _named(transcripts, query.get("after_id"))
    if before and after and after.number <= before.number:
        raise RefusedError(400, MIX_UP)
    if after:
        newer = (one for one in transcripts.newer(after) if before is None or one.number < before.number)
        page = list(islice(_matching(newer, query), limit))[::-1]
    else:
        page = list(islice(_matching(transcripts.older(before), query), limit))
    kept = {name: query[name] for name in ("limit", "status", "created_on") if query.get(name)}
    details: Json = {
        "limit": limit,
        "result_count": len(page),
        "current_url": _url(base_url, dict(query)),
        "prev_url": None,
        "next_url": None,
    }
    if page and any(_matching(transcripts.older(page[-1]), query)):
        details["prev_url"] = _url(base_url, kept | {"before_id": page[-1].id})
    if page and any(_matching(transcripts.newer(page[0]), query)):
        details["next_url"] = _url(base_url, kept | {"after_id": page[0].id})
    return {"page_details": details, "transcripts": [list_item(transcript) for transcript in page]}


def _limit(query: Mapping[str, str]) -> int:
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST:
        raise RefusedError(400, BAD_SCHEMA)
    if query.get("status") not in {None, "", "queued", "processing", "completed", "error"}:
        raise RefusedError(400, BAD_SCHEMA)
    return int(limit)


def _named(transcripts: Transcripts, transcript_id: str | None) -> Transcript | None:
    if not transcript_id:
        return None
    transcript = transcripts.get(transcript_id)
    if transcript is None:
        raise RefusedError(400, UNKNOWN_ID)
    return transcript


def _matching(transcripts: Iterable[Transcript], query: Mapping[str, str]) -> Iterable[Transcript]:
    status, day = query.get("status"), query.get("created_on")
    throttled = query.get("throttled_only", "").lower() == "true"
    for transcript in transcripts:
        if throttled and not transcript.throttled:
            continue
        if status and not throttled and transcript.status != status:
            continue
        if day and transcript.created.date().isoformat() != day:
            continue
        yield transcript


def _url(base_url: str, query: Mapping[str, str]) -> str:
    return f"{base_url}/v2/transcript" + (f"?{urlencode(query)}" if query else "")
