"""Paid requests to the LLM Gateway, and the journal of those that are not a prompt's whole answer by themselves.

What takes more than one request (turns, an answer asked for again, several prompts in one) is a replay: every
completion is kept under the digest of its request the moment it arrives, so that after a crash nothing that arrived is
asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from service.domain import happened
from service.domain.asking import caching, prompts
from service.domain.asking.completion import Completion, stored_completion
from service.domain.asking.turns import Request
from service.domain.errors import Gate, ModelRefused, StorageTrouble, Throttled
from service.domain.job import Job
from service.domain.places import REQUEST_DIGITS
from service.domain.results import JSON
from service.domain.speech import Spoken
from service.domain.use.usage import Usage
from service.engine.hold import Hold
from service.engine.outage import pause_after
from service.stages.asking.metering import metered
from service.stages.asking.purse import Hand, Purse, Queued
from service.stages.context import Context
from service.stages.gates import through
from service.stages.limits import within_limit
from service.stages.vendor import counted

UNTOLD: Final = 60.0
"""Seconds to leave a model alone after a refusal that does not say how long: a whole window."""
WITHIN: Final = 300.0
"""Seconds that an answer may take (vendor API reference: the server's own bound is not documented)."""
SLOWEST: Final = 40
"""Tokens a second: what an answer that has room for more than that in WITHIN may take longer by."""
LONGEST: Final = 900.0
"""Seconds that any answer may take."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What all prompts of a run share."""

    hold: Hold
    job: Job
    context: Context
    purse: Purse | Hand
    spoken: Spoken

    @property
    def text(self) -> str | None:
        """The transcript's text, where requests must bring it along."""
        return self.spoken.text

    @property
    def text_bytes(self) -> int | None:
        """The length of the transcript's text in UTF-8; None: not known."""
        if self.text is not None:
            return len(self.text.encode())
        return None if self.job.transcript is None else self.job.transcript.text_bytes


def always(_: Completion) -> bool:
    return True


async def completed(
    request: Request,
    asking: Asking,
    *,
    keeps: Callable[[Completion], bool] = always,
    earlier: bool = True,
    mark: int | None = None,
) -> Completion:
    """The completion of this request: the journal's if it ever arrived, else asked for now and, if `keeps`, kept.

    First writer wins, and the loser reads. Without `keeps`, the caller must store at once what it makes of it.
    `earlier` as in `journaled`, `mark` as in `paid`. Raises as `paid`.
    """
    found = await journaled(request, asking, earlier=earlier)
    if found is not None:
        return found
    completion = await paid(request, asking, mark=mark)
    if not keeps(completion):
        return completion
    return await until_stored(lambda: entered(request, completion, asking), model=completion.model)


async def journaled(request: Request, asking: Asking, *, earlier: bool = True) -> Completion | None:
    """What has arrived for this request; with `earlier` also in an earlier run, which paid for it, if it was whole."""
    for run in range(asking.job.run, 0 if earlier else asking.job.run - 1, -1):
        key = _key(request, asking, run)
        body = await asking.context.ports.results.get(key)
        found = None if body is None else stored_completion(body, key)
        if found is not None and run == asking.job.run:
            return found
        if found is not None and found.whole:
            return found.model_copy(update={"usage": Usage()})
    return None


async def paid(request: Request, asking: Asking, *, mark: int | None = None) -> Completion:
    """One paid request, on a freshly renewed lease. `mark`: the message with the transcript, if caching it may help.

    Its usage comes with an estimate of its cost. Raises what LanguageModel.ask raises, Parked for AccountTrouble and at
    the pipeline's monthly limit, Queued for Throttled and where the budget is spent.
    """
    context = asking.context
    model = str(request["model"])
    await within_limit(asking.job.pipeline, context)
    await asking.purse.spend(model)
    async with through(context, Gate.GATEWAY):
        await asking.hold.renew()
        try:
            with counted(context, "ask"):
                sent = _sent(request, asking, mark)
                completion = await context.ports.language_model.ask(sent, within=within(sent))
        except ModelRefused:
            context.ports.catalogue.doubt()
            raise
        except Throttled as throttled:
            wait = throttled.retry_after or UNTOLD
            await context.ports.budget.exhausted(model, wait)
            raise Queued(model, wait) from throttled
    return completion.model_copy(update={"usage": metered(completion, request, asking.job.pipeline, context)})


def within(request: Request) -> float:
    """Seconds that its answer may take: one that is given up half written may be billed, and is asked for again."""
    most = request.get("max_tokens")
    return min(max(WITHIN, most / SLOWEST), LONGEST) if isinstance(most, int) else WITHIN


async def until_stored(store: Callable[[], Awaitable[T]], **told: str) -> T:
    """Store what was paid for, however long that takes: asked again it would be paid again. `told`: for the log."""
    failures = 0
    while True:
        try:
            # Even if this worker is told to stop right now.
            return await asyncio.shield(store())
        except StorageTrouble as trouble:
            failures += 1
            pause = pause_after(failures)
            structlog.get_logger().warning(happened.JOB_WAITING, reason=trouble.message, **told)
            await asyncio.sleep(pause)


async def entered(request: Request, completion: Completion, asking: Asking) -> Completion:
    """In the journal as what came of this request, or what another worker entered before. Raises Unavailable."""
    key, results = _key(request, asking, asking.job.run), asking.context.ports.results
    if await results.put_new(key, completion.to_bytes(), JSON):
        asking.hold.progressed()
        return completion
    winner = await results.get(key)
    assert winner is not None
    return stored_completion(winner, key)


def _key(request: Request, asking: Asking, run: int) -> str:
    assert asking.job.transcript is not None
    # Of the request as it was written: marks, or the text in place of a forgotten transcript's id, make it no other.
    digest = prompts.request_digest(request, asking.job.transcript.id, {})
    return asking.context.place(asking.job).request(digest[:REQUEST_DIGITS], run)


def _sent(request: Request, asking: Asking, mark: int | None) -> Request:
    marked = caching.marked(request, mark, asking.text_bytes)
    return marked if asking.text is None else prompts.filled(marked, asking.text)
