"""From a rendered prompt to its answer, in as many requests as that takes: turns, corrections, fallbacks."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from pydantic import JsonValue

from service.domain import happened
from service.domain.asking import fallbacks, structured, turns
from service.domain.asking.completion import Completion, words
from service.domain.asking.sizes import check_room, within_output
from service.domain.asking.structured import Fits, Wrong
from service.domain.asking.turns import Request, Said
from service.domain.errors import AnswerInvalid, Code, ModelRefused, NoRoom, OutcomeUnknown, Permanent, Rejected
from service.domain.models.catalogue import Model
from service.domain.use.usage import Usage, summed
from service.stages.asking.requests import Asking, completed, journaled, paid

Ask = Callable[[Request], Awaitable[Completion]]

Journal = Literal["none", "run", "job"]
"""Whose journal has a say: nobody's (nothing is kept), this run's, or that of all runs of the job."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of a prompt: its last completion, the words and the value in it, what was said before, all tokens."""

    completion: Completion
    content: str
    value: JsonValue
    turns: tuple[str, ...]
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a model's turn came to."""

    completion: Completion
    content: str
    value: JsonValue = None


class Exchange:
    """One prompt's way to its answer. Of the same prompt it is a replay of what the journal has of it.

    `prompt` is its name, for the log; `mark` the message of it with the speech, which its turns have in common.
    """

    def __init__(self, prompt: str, asking: Asking, *, mark: int | None = None) -> None:
        self._prompt = prompt
        self._asking = asking
        self._used: list[Usage] = []
        self._mark = mark

    @property
    def used(self) -> Usage:
        """What its completions took so far, those included that are no answer."""
        return summed(self._used)

    async def reply(self, request: Request) -> Reply:
        """The answer to the rendered `request`. A prompt that one request answers leaves nothing in the journal.

        Raises as `requests.paid`; Permanent when no model of the prompt can answer, AnswerInvalid among it.
        """
        *early, last = turns.parts(turns.messages_of(request))
        if not early:
            self._mark = None
        history: list[Said] = []
        said: list[str] = []
        model = 0
        for part in early:
            history += part
            asked = turns.turn(request, history, last=False)
            found, model = await self._by_one_able(asked, self._turn, model, "job")
            said.append(found.content)
            history.append(turns.answered(found.content))
        asked = turns.turn(request, [*history, *last], last=True)
        if structured.schema_of(asked) is None:
            found, _ = await self._by_one_able(asked, self._plain, model, "none")
        else:
            found, _ = await self._by_one_able(asked, self._shaped, model, "run")
        return Reply(
            completion=found.completion,
            content=found.content,
            value=found.value,
            turns=tuple(said),
            usage=self.used,
        )

    async def unread(self, request: Request) -> Completion:
        """Whatever the first model that takes the request says; the caller must store it at once.

        For a request that there is another way without: no model is asked that refused the like of it lately. Raises
        as `reply`, but for AnswerInvalid.
        """
        found, _ = await self._by_one_able(request, self._unread, 0, "none", another_way=True)
        return found.completion

    async def _by_one_able(
        self,
        request: Request,
        one: Callable[[Request], Awaitable[_Found]],
        begin: int,
        journal: Journal,
        *,
        another_way: bool = False,
    ) -> tuple[_Found, int]:
        """What the first model that can makes of it, from the model number `begin` on, and which that was.

        `another_way`: also the last one need not be asked.
        """
        requests = fallbacks.requests(request)
        tried: list[tuple[str, Permanent]] = []
        for number in await self._left(requests, begin, journal):
            model, more = str(requests[number]["model"]), another_way or number + 1 < len(requests)
            try:
                if more:
                    await self._refuse_known(requests[number], journal)
                return await one(requests[number]), number
            except (ModelRefused, NoRoom, AnswerInvalid) as unfit:
                tried.append((model, unfit))
                if more:
                    self._passed_over(requests[number], model, unfit)
        raise fallbacks.none_left(tried)

    async def _refuse_known(self, request: Request, journal: Journal) -> None:
        """Raises ModelRefused for a model that refused the like of it lately, so that the next one is asked at once."""
        refused = self._asking.context.refusals.known(request)
        if refused is None or fallbacks.without(request, refused) is not None:
            return
        if not await self._knows(request, journal):
            raise refused

    async def _left(self, requests: Sequence[Request], begin: int, journal: Journal) -> Sequence[int]:
        """The models to try. One that the journal does not know, before one that it does, was found unable already."""
        every = range(begin, len(requests))
        known = [number for number in every[1:] if await self._knows(requests[number], journal)]
        if not known:
            return every
        first = [begin] if await self._knows(requests[begin], journal) else []
        return [*first, *known, *range(known[-1] + 1, len(requests))]

    async def _knows(self, request: Request, journal: Journal) -> bool:
        """Whether what came of it is in the journal."""
        return journal != "none" and await journaled(request, self._asking, earlier=journal == "job") is not None

    async def _plain(self, request: Request) -> _Found:
        completion = await self._asked(request, lambda asked: paid(asked, self._asking, mark=self._mark))
        return _Found(completion=completion, content=words(completion, request))

    async def _unread(self, request: Request) -> _Found:
        known = self._model(request)
        fitting = within_output(request, known.most_output if known else None)
        try:
            completion = await self._asked(fitting, lambda asked: paid(asked, self._asking))
        except ModelRefused:
            raise
        except Rejected as refused:
            # For its form, in whatever words: the next recording's would be refused too.
            model = str(request["model"])
            raise ModelRefused(refused.message, model=model, request_id=refused.request_id) from refused
        return _Found(completion=completion, content=completion.content or "")

    async def _turn(self, request: Request) -> _Found:
        completion = await self._asked(request, lambda asked: completed(asked, self._asking, mark=self._mark))
        return _Found(completion=completion, content=words(completion, request))

    async def _shaped(self, request: Request) -> _Found:
        """A structured answer; where the first is none, the model is shown what is wrong and asked once more."""
        schema = structured.schema_of(request)
        if schema is None:
            return await self._plain(request)
        if not structured.usable(schema):
            raise Permanent(Code.PROMPT_REJECTED, "its response_format holds no valid JSON Schema (Draft 2020-12)")
        completion, read = await self._read(request, schema)
        if isinstance(read, Wrong):
            corrected = turns.corrected(request, completion.content or "", read.told)
            completion, read = await self._read(corrected, schema)
        if isinstance(read, Wrong):
            raise AnswerInvalid(read.what, raw=completion.content or "", request_id=completion.request_id)
        return _Found(completion=completion, content=read.text, value=read.value)

    async def _read(self, request: Request, schema: Mapping[str, JsonValue]) -> tuple[Completion, Fits | Wrong]:
        def invalid(completion: Completion) -> bool:
            return not completion.whole or isinstance(structured.read(completion.content or "", schema), Wrong)

        async def ask(asked: Request) -> Completion:
            # Of an earlier run none is taken: who sends a failed job on wants another try.
            return await completed(asked, self._asking, keeps=invalid, earlier=False, mark=self._mark)

        completion = await self._asked(request, lambda asked: self._repaired(asked, ask))
        return completion, structured.read(words(completion, request), schema)

    async def _repaired(self, request: Request, ask: Ask) -> Completion:
        """Where the LLM Gateway cannot repair the JSON it answers a 5xx (vendor API reference): then without repair."""
        plain = turns.unrepaired(request)
        if plain is None:
            return await ask(request)
        arrived = await journaled(plain, self._asking, earlier=False)
        if arrived is not None:
            return arrived
        try:
            return await ask(request)
        except OutcomeUnknown as unknown:
            if not unknown.answered:
                raise
            return await ask(plain)

    async def _asked(self, request: Request, ask: Ask) -> Completion:
        """Asked, if the model may have room; without a fallback that the request is refused for."""
        model = self._model(request)
        check_room(request, self._asking.text_bytes, model.context if model else None)
        known = self._asking.context.refusals.known(request)
        narrower = None if known is None else fallbacks.without(request, known)
        if narrower is None:
            try:
                completion = await ask(request)
            except ModelRefused as refused:
                narrower = fallbacks.without(request, refused)
                if narrower is None:
                    raise
                self._passed_over(request, refused.model or "a fallback", refused)
            else:
                self._used.append(completion.usage)
                return completion
        return await self._asked(narrower, ask)

    def _model(self, request: Request) -> Model | None:
        return (self._asking.context.ports.catalogue.models or {}).get(str(request["model"]))

    def _passed_over(self, request: Request, model: str, unfit: Permanent) -> None:
        """Told once, not for each recording again."""
        if isinstance(unfit, ModelRefused) and not self._asking.context.refusals.remember(request, unfit):
            return
        structlog.get_logger().warning(
            happened.MODEL_PASSED_OVER,
            prompt=self._prompt,
            model=model,
            reason=unfit.message,
            request_id=unfit.request_id,
        )
