"""All that the vendor holds for one account, and the gate that every call passes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx2
import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.simulator.agenda import Agenda
from service.simulator.faults import TRANSPORT, Call, Faults
from service.simulator.hearing import load_library
from service.simulator.ledger import Ledger
from service.simulator.options import Options
from service.simulator.processing import Processing
from service.simulator.rates import Windows
from service.simulator.rules import Rule
from service.simulator.sounds import Sounds
from service.simulator.transcripts import Transcripts
from service.simulator.webhooks import Webhooks
from service.simulator.wire import BAD_KEY, NEGATIVE_BALANCE, SERVER_ERROR, Cut, Json, Reply, envelope

GATEWAY_CALLS: Final = frozenset({"ask", "models", "understanding"})
_MESSAGES: Final = {
    429: "Too Many Requests",
    403: "Forbidden",
    401: BAD_KEY,
    500: SERVER_ERROR,
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_GATEWAY_MESSAGES: Final = {**_MESSAGES, 429: "too many requests for this action"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    options: Options
    transcripts: Transcripts
    sounds: Sounds
    ledger: Ledger
    faults: Faults
    processing: Processing
    windows: Windows
    webhooks: Webhooks
    agenda: Agenda

    def clear(self) -> None:
        """Forgets everything, also what was still to come."""
        self.agenda.clear()
        for part in (
            self.processing,
            self.webhooks,
            self.sounds,
            self.transcripts,
            self.ledger,
            self.faults,
            self.windows,
        ):
            part.clear()

    async def gate(self, request: Request, call: Call, handle: Callable[[], Awaitable[Reply]]) -> Response:
        """Answers a call, or does with it what the fault dial says."""
        drawn = self.faults.draw(call, TRANSPORT)
        slow = [rule for rule in drawn if rule.do == "slow"]
        await asyncio.sleep(sum(rule.given["seconds"] for rule in slow if not rule.given["after"]))
        for rule in drawn:
            if rule.do == "reset":
                self.ledger.refused(call.on, 0, "fault", "connection reset")
                return Cut()
            if rule.do in {"status", "account"}:
                reply = _refusal(rule, gateway=call.on in GATEWAY_CALLS)
                self.ledger.refused(call.on, reply.status_code, "fault", rule.do)
                return reply
        reply = await handle()
        await asyncio.sleep(sum(rule.given["seconds"] for rule in slow if rule.given["after"]))
        lost = next((rule for rule in drawn if rule.do == "lose_answer"), None)
        if reply.entry is not None and (lost or await request.is_disconnected()):
            reply.entry["answer_seen"] = False
        if lost is not None:
            return _lost(lost.given["status"], gateway=call.on in GATEWAY_CALLS)
        if any(rule.do == "garble" for rule in drawn):
            return Reply(bytes(reply.body)[: len(reply.body) // 2] + b'{"', reply.status_code)
        return reply


def _lost(status: int | None, *, gateway: bool) -> Response:
    """What is seen of a call that was handled: a reset connection, or the 5xx of something in between."""
    if status is None:
        return Cut()
    return Reply(envelope(_MESSAGES.get(status, "Error"), status, gateway=gateway), status)


def _refusal(rule: Rule, *, gateway: bool) -> Reply:
    if rule.do == "account":
        if rule.given["trouble"] == "key":
            return Reply(envelope(BAD_KEY, 401, gateway=gateway, middleware=gateway), 401)
        return Reply(envelope(NEGATIVE_BALANCE, 400, gateway=gateway), 400)
    status, body = rule.given["status"], rule.given["body"]
    headers = {"Retry-After": str(rule.given["retry_after"])} if rule.given["retry_after"] is not None else {}
    if isinstance(body, str):
        return Reply(body, status, headers=headers, media_type="text/plain")
    if body is None:
        message = rule.given["message"] or (_GATEWAY_MESSAGES if gateway else _MESSAGES).get(status, "Error")
        body = _enveloped(message, status, rule.given["envelope"], gateway=gateway)
    return Reply(orjson.dumps(body), status, headers=headers)


def _enveloped(message: str, status: int, shape: str, *, gateway: bool) -> Json:
    if shape == "nested":
        return {"error": envelope(message, status, gateway=True)}
    return envelope(message, status, gateway=gateway or shape != "own", middleware=shape == "auth")


@asynccontextmanager
async def open_account(
    options: Options, client: httpx2.AsyncClient, now: Callable[[], float]
) -> AsyncIterator[Account]:
    """A fresh account; its agenda works, and its temporary folder exists, until the context ends."""
    agenda, ledger, faults = Agenda(), Ledger(), Faults(options.seed)
    faults.add({"rules": [dict(rule) for rule in options.faults]})
    sounds = Sounds(
        client,
        kept_bytes=options.kept_upload_bytes,
        download_bytes=options.max_download_bytes,
        download_seconds=options.download_seconds,
    )
    webhooks = Webhooks(options=options, agenda=agenda, faults=faults, ledger=ledger, client=client)
    processing = Processing(
        options=options,
        agenda=agenda,
        sounds=sounds,
        library=load_library(options.recordings),
        ledger=ledger,
        announce=webhooks.announce,
        announce_redacted=webhooks.announce_redacted,
    )
    windows = Windows(options.gateway_limit, options.gateway_window_seconds, now)
    running = asyncio.create_task(agenda.run())
    try:
        yield Account(
            options=options,
            transcripts=Transcripts(),
            sounds=sounds,
            ledger=ledger,
            faults=faults,
            processing=processing,
            windows=windows,
            webhooks=webhooks,
            agenda=agenda,
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await processing.close()
        await webhooks.close()
        sounds.close()
