"""Webhooks by the vendor's rules: any 2xx within ten seconds, ten attempts ten seconds apart, any 4xx is final."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import httpx2
import orjson

from service.simulator.agenda import Agenda, Crew
from service.simulator.faults import DELIVERIES, Call, Faults
from service.simulator.ledger import Ledger
from service.simulator.options import Options
from service.simulator.rules import Rule
from service.simulator.transcripts import Transcript
from service.simulator.wire import Json

Kind = Literal["transcript", "redacted_audio"]
UNKNOWN_TRANSCRIPT = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One webhook on its way."""

    transcript: Transcript
    kind: Kind
    url: str
    headers: dict[str, str]
    body: bytes
    attempt: int = 1
    forged: bool = False
    duplicate: bool = False


class Webhooks:
    """Delivers in the background. What waits between attempts is an entry in the agenda."""

    def __init__(
        self, *, options: Options, agenda: Agenda, faults: Faults, ledger: Ledger, client: httpx2.AsyncClient
    ) -> None:
        self._options = options
        self._agenda = agenda
        self._faults = faults
        self._ledger = ledger
        self._client = client
        self._crew = Crew(options.webhook_connections)
        self._epoch = 0

    def clear(self) -> None:
        """What is in flight goes on, but is neither counted nor repeated."""
        self._epoch += 1
        self._crew.clear()

    async def close(self) -> None:
        await self._crew.close()

    def announce(self, transcript: Transcript) -> None:
        """Told when a transcript has ended."""
        self._send(transcript, "transcript", {"transcript_id": transcript.id, "status": transcript.status})

    def announce_redacted(self, transcript: Transcript) -> None:
        """Told when redacted audio is ready. The body carries no transcript id."""
        body: Json = {"status": "redacted_audio_ready", "redacted_audio_url": redacted_audio_url(transcript)}
        self._send(transcript, "redacted_audio", body)

    def _send(self, transcript: Transcript, kind: Kind, body: Json) -> None:
        if not transcript.webhook_url:
            return
        call = Call(
            on="webhook",
            transcript_id=transcript.id,
            job=transcript.webhook_url,
            audio=transcript.audio_url,
            text=lambda: orjson.dumps(body).decode(),
        )
        drawn = {rule.do: rule for rule in self._faults.draw(call, DELIVERIES)}
        if "status_word" in drawn:
            body = body | {"status": drawn["status_word"].given["word"]}
        genuine = Delivery(
            transcript=transcript,
            kind=kind,
            url=transcript.webhook_url,
            headers=_headers(transcript),
            body=orjson.dumps(body),
        )
        wait = self._faults.seconds(drawn["delay"]) if "delay" in drawn else 0.0
        forge = drawn.get("forge")
        if forge is not None:
            self._after(0.0, forged(genuine, forge))
        if "lose" in drawn or (forge is not None and forge.given["instead"]):
            self._ledger.lost(transcript.id, kind, "lost by the fault dial")
            return
        self._after(wait, genuine)
        if "duplicate" in drawn:
            given = drawn["duplicate"].given
            for number in range(1, given["n"] + 1):
                self._after(wait + number * given["gap"], replace(genuine, duplicate=True))

    def _after(self, seconds: float, delivery: Delivery) -> None:
        work: Callable[[], None] = partial(self._crew.add, partial(self._attempt, delivery))
        if seconds > 0:
            self._agenda.after(seconds, work)
        else:
            work()

    async def _attempt(self, delivery: Delivery) -> None:
        epoch = self._epoch
        status, trouble = await self._post(delivery)
        if epoch != self._epoch:
            return
        self._ledger.delivered(
            {
                "transcript_id": delivery.transcript.id,
                "kind": delivery.kind,
                "attempt": delivery.attempt,
                "status": status,
                "error": trouble,
                "forged": delivery.forged,
                "duplicate": delivery.duplicate,
                "lost": False,
            }
        )
        if delivery.forged:
            return
        if status is not None:
            delivery.transcript.webhook_status_code = status
            if httpx2.codes.is_success(status):
                return
        refused = status is not None and httpx2.codes.is_client_error(status)
        if refused or delivery.attempt >= self._options.webhook_attempts:
            if not delivery.duplicate:
                self._ledger.lost(delivery.transcript.id, delivery.kind, f"given up after attempt {delivery.attempt}")
            return
        self._after(self._options.webhook_gap_seconds, replace(delivery, attempt=delivery.attempt + 1))

    async def _post(self, delivery: Delivery) -> tuple[int | None, str | None]:
        try:
            async with asyncio.timeout(self._options.webhook_timeout_seconds):
                response = await self._client.post(delivery.url, content=delivery.body, headers=delivery.headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as error:
            return None, type(error).__name__
        return response.status_code, None


def _headers(transcript: Transcript) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept": "*/*", "user-agent": "afterword-stand-in"}
    name, value = (transcript.request.get(f"webhook_auth_header_{part}") for part in ("name", "value"))
    return headers | ({str(name): str(value)} if name and value is not None else {})


def forged(genuine: Delivery, rule: Rule) -> Delivery:
    """A webhook that is not the vendor's: wrong secret, unknown job in the path, another transcript, any body."""
    given, headers, url, body = rule.given, dict(genuine.headers), genuine.url, genuine.body
    name = str(genuine.transcript.request.get("webhook_auth_header_name") or "")
    if given["header"] == "missing":
        headers.pop(name, None)
    elif given["header"] == "wrong" and name:
        headers[name] = hashlib.sha256(b"not the secret").hexdigest()
    if given["path"] == "unknown":
        parts = urlsplit(url)
        root, _, last = parts.path.rpartition("/")
        stranger = hashlib.sha256(last.encode()).hexdigest()[: max(8, len(last))]
        url = urlunsplit(parts._replace(path=f"{root}/{stranger}"))
    if given["transcript"] == "unknown":
        body = body.replace(genuine.transcript.id.encode(), UNKNOWN_TRANSCRIPT.encode())
    if given["body"] is not None:
        body = given["body"].encode()
    return replace(genuine, headers=headers, url=url, body=body, forged=True)


def redacted_audio_url(transcript: Transcript) -> str:
    """Where the stand-in serves it; the vendor's is a presigned link whose path holds the id, too."""
    quality = transcript.request.get("redact_pii_audio_quality") or "mp3"
    signature = uuid.uuid4().hex
    transcript.links[signature] = time.monotonic()
    return f"{transcript.base_url}/redacted-audio/{transcript.id}.{quality}?X-Amz-Signature={signature}"
