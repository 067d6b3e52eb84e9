"""What an answer that is no success means, as a table over status and words (vendor API reference: errors)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from service.adapters.assemblyai.json_values import Garbled, mapping, parsed, sequence, text
from service.adapters.assemblyai.redaction import redacted
from service.domain.errors import (
    AccountTrouble,
    Code,
    Gate,
    ModelRefused,
    OutcomeUnknown,
    Permanent,
    Rejected,
    Throttled,
    TranscriptMissing,
    Transient,
    Unavailable,
)

SHORTEST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 3600.0
TRANSCRIPTION_WAIT: Final = 10.0
"""Seconds to wait when the transcription API throttles without saying how long."""
GATEWAY_WAIT: Final = 60.0
"""The same for the Gateway: its whole window."""

_REASONS_TOLD: Final = 10
_LONGEST_ID: Final = 128
_UNFIT_MODEL: Final = re.compile(r"\bmodel (\S{1,200}) (?:is not supported|does not support)\b", re.IGNORECASE)


class Call(StrEnum):
    """What was asked of the vendor; the same refusal means different things to different calls."""

    UPLOAD = "upload"
    SUBMIT = "submit"
    READ = "read"
    LIST = "list"
    DELETE = "delete"
    ASK = "ask"
    MODELS = "models"

    @property
    def billed(self) -> bool:
        """It cannot be repeated without asking first whether it happened."""
        return self in {Call.SUBMIT, Call.ASK}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An answer that is no success. `said`: the vendor's words, fit to be told; empty if there are none."""

    call: Call
    status: int
    said: str
    request_id: str | None
    retry_after: float | None

    @property
    def message(self) -> str:
        return self.said or f"HTTP {self.status} without a reason"


def classify(status: int, headers: Mapping[str, str], body: bytes, call: Call) -> Transient | Permanent:
    """The error that this answer to `call` means. `headers` under lower-case names or case-blind."""
    said, request_id = _envelope(body)
    refusal = Refusal(
        call=call,
        status=status,
        said=said,
        request_id=request_id or _identifier(headers.get("x-request-id")),
        retry_after=retry_after(headers.get("retry-after"), headers.get("date")),
    )
    if status < HTTPStatus.BAD_REQUEST:
        where = "AFTERWORD_LLM_GATEWAY_URL" if call is Call.ASK else "AFTERWORD_ASSEMBLYAI_URL"
        return Unavailable(f"HTTP {status}: redirects are not followed; {where} must name the final host")
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"HTTP {status}: {refusal.said}" if refusal.said else refusal.message
        return lost(call, message, refusal.request_id, retry_after=refusal.retry_after, answered=True)
    if status == HTTPStatus.NOT_FOUND and not refusal.said:
        # Not in the vendor's words: something between us and it answered, and nothing that was paid for must be lost.
        return Unavailable(refusal.message)
    return _gateway(refusal) if call is Call.ASK else _transcription(refusal)


def lost(
    call: Call,
    message: str,
    request_id: str | None = None,
    *,
    retry_after: float | None = None,
    answered: bool = False,
) -> Unavailable | OutcomeUnknown:
    """No usable answer to a request that was sent: for billed calls it may have been carried out.

    `answered`: that something went wrong is what was answered.
    """
    if call.billed:
        return OutcomeUnknown(message, retry_after=retry_after, request_id=request_id, answered=answered)
    return Unavailable(message, retry_after=retry_after, request_id=request_id)


def retry_after(value: str | None, answered: str | None = None) -> float | None:
    """Seconds from a Retry-After header, between 1 and 3600; a date is taken relative to the answer's own `Date`."""
    if value is None:
        return None
    given = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given):
        return min(max(float(given), SHORTEST_WAIT), LONGEST_WAIT)
    until, told = date(given), date(answered)
    if until is None or told is None:
        return None
    return min(max((until - told).total_seconds(), SHORTEST_WAIT), LONGEST_WAIT)


def _transcription(refusal: Refusal) -> Transient | Permanent:
    missing = _missing(refusal) if refusal.call in {Call.READ, Call.DELETE} else None
    if missing is not None:
        return missing
    words = refusal.said.casefold()
    broke = "balance is negative" in words
    match refusal.status:
        case 401 if refusal.call is Call.SUBMIT:
            # It may also speak of the balance (vendor API reference: errors); whatever it is, a submission must prove
            # it mended: an upload that passes would open the gate for the next submission to be refused.
            return AccountTrouble(Gate.BALANCE, refusal.message, request_id=refusal.request_id)
        case 401:
            return AccountTrouble(Gate.TRANSCRIPTION, refusal.message, request_id=refusal.request_id)
        case status if status == HTTPStatus.PAYMENT_REQUIRED or (status == HTTPStatus.BAD_REQUEST and broke):
            return AccountTrouble(Gate.BALANCE, refusal.message, request_id=refusal.request_id)
        case 403 | 429 if "cannot access uploaded file" not in words:
            # Which of the two the vendor answers when its limit of requests is reached, its documents disagree on.
            return _throttled(refusal, TRANSCRIPTION_WAIT)
    return Rejected(Code.TRANSCRIPTION_REJECTED, refusal.message, request_id=refusal.request_id)


def _missing(refusal: Refusal) -> TranscriptMissing | None:
    unknown = refusal.said.casefold().startswith("transcript lookup error") or "id not found" in refusal.said.casefold()
    if refusal.status == HTTPStatus.NOT_FOUND or (refusal.status == HTTPStatus.BAD_REQUEST and unknown):
        return TranscriptMissing(refusal.message, request_id=refusal.request_id)
    return None


def _gateway(refusal: Refusal) -> Transient | Permanent:
    words = refusal.said.casefold()
    if refused := _model_refused(refusal):
        return refused
    match refusal.status:
        case 401 | 402 | 403:
            return AccountTrouble(Gate.GATEWAY, refusal.message, request_id=refusal.request_id)
        case 400 if "balance is negative" in words:
            # The same trouble, but what must pass is a question: its own gate probes with questions.
            return AccountTrouble(Gate.GATEWAY, refusal.message, request_id=refusal.request_id)
        case 429:
            return _throttled(refusal, GATEWAY_WAIT)
        case 404 if words.startswith("transcript"):
            return TranscriptMissing(refusal.message, request_id=refusal.request_id)
    return Rejected(Code.PROMPT_REJECTED, refusal.message, request_id=refusal.request_id)


def _model_refused(refusal: Refusal) -> ModelRefused | None:
    """A refusal for the sake of one model, not of the account: another model may take the request."""
    if refusal.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}:
        return None
    named = _UNFIT_MODEL.search(refusal.said)
    forbidden = "does not have access to this llm gateway model" in refusal.said.casefold()
    too_long = "context limit exceeded" in refusal.said.casefold()
    if named is None and not forbidden and not too_long:
        return None
    return ModelRefused(
        refusal.message,
        model=named[1] if named else None,
        in_doubt=forbidden,
        for_length=too_long,
        request_id=refusal.request_id,
    )


def _throttled(refusal: Refusal, otherwise: float) -> Throttled:
    wait = otherwise if refusal.retry_after is None else refusal.retry_after
    return Throttled(refusal.message, retry_after=wait, request_id=refusal.request_id)


def _envelope(body: bytes) -> tuple[str, str | None]:
    """The words and the request id of any of the three error envelopes; plain text speaks for itself, HTML does not."""
    try:
        outer = parsed(body)
    except Garbled:
        plain = body[:4096].decode(errors="replace").strip()
        return ("" if plain.startswith(("<", "{", "[")) else redacted(plain)), None
    inner = mapping(outer.get("error")) or outer
    words = text(inner.get("message")) or text(outer.get("error")) or text(outer.get("message")) or ""
    reasons = [text(item) for item in sequence(mapping(inner.get("metadata")).get("errors")) or ()]
    told = [reason for reason in reasons[:_REASONS_TOLD] if reason]
    said = ": ".join(part for part in (words.strip(), "; ".join(told)) if part)
    return redacted(said), _identifier(outer.get("request_id")) or _identifier(inner.get("request_id"))


def _identifier(value: object) -> str | None:
    name = "".join(filter(str.isprintable, text(value) or ""))[:_LONGEST_ID]
    return name or None


def date(value: str | None) -> datetime | None:
    """The moment that an HTTP date names; None for what is none."""
    try:
        moment = parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
