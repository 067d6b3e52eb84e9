"""Whether the models that the pipelines name are fit for what is asked of them, as far as the live catalogue tells."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.domain.asking import fallbacks
from service.domain.asking.prompts import SPEECH, uses
from service.domain.asking.sizes import MAX_TOKENS
from service.domain.asking.turns import Request
from service.domain.errors import Problem
from service.domain.models.catalogue import Model, Models
from service.domain.models.choice import SOON, Needs, nearest, spoken_of
from service.domain.pipeline import Pipelines, Prompt
from service.domain.pipelines.whereabouts import Spot, Whereabouts
from service.domain.spelling import shown
from service.domain.times import rfc3339

GOVERNED: Final = ("temperature", "top_p", "top_k", "response_format", "reasoning")
"""Parameters that only some models take; all others are the Gateway's own (vendor API reference: chat completions)."""
TEN_HOURS: Final = 120_000
"""Tokens of the longest recording, roughly (vendor API reference: prompts and long transcripts)."""
NAMED: Final = 3
"""Prompts that are named where what they inherit is at fault; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What there is to say of the models, in the file's order: what will be refused, and what is worth a look."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one model is asked: by a prompt, or instead of its own model by its fallback of that number, from 0."""

    pipeline: str
    prompt: Prompt
    request: Request
    fallback: int | None = None
    besides: frozenset[str] = frozenset()
    """What the prompt asks before a fallback is wanted."""

    @property
    def model(self) -> str:
        return str(self.request["model"])

    @property
    def answer(self) -> int:
        most = self.request.get("max_tokens")
        return most if isinstance(most, int) else MAX_TOKENS

    @property
    def long(self) -> bool:
        """Whether it grows with the recording."""
        return any(uses(self.prompt, source) for source in SPEECH)

    def needs(self) -> Needs:
        parameters = frozenset(name for name in GOVERNED if self.request.get(name) is not None)
        return Needs(parameters=parameters, answer=self.answer, room=self.answer + 1, besides=self.besides)

    def spot(self, whereabouts: Whereabouts, keys: Sequence[str]) -> Spot:
        if self.fallback is None:
            return whereabouts.of(self.pipeline, self.prompt.name, keys)
        return whereabouts.fallback(self.pipeline, self.prompt.name, self.fallback, self.model, keys)


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One thing that is wrong with a model: written at one of `keys`. `cure` is completed by a model that would do.

    `otherwise` stands where none would, or no other could help (`cure` is None). `grave`: it will be refused.
    """

    what: str
    keys: tuple[str, ...]
    cure: str | None
    otherwise: str
    needs: Needs
    grave: bool = True


def asked_of(prompt: Prompt, pipeline: str) -> Iterator[Asked]:
    """The prompt's own request, then each of its fallbacks with what it overrides."""
    own, *others = fallbacks.requests(prompt.request)
    asked = Asked(pipeline=pipeline, prompt=prompt, request=own)
    yield asked
    for number, request in enumerate(others):
        asked = replace(asked, request=request, fallback=number, besides=asked.besides | {asked.model})
        yield asked


def fitness(pipelines: Pipelines, whereabouts: Whereabouts, models: Models, now: float) -> Findings:
    """Everything that the catalogue says against the pipelines `now` (epoch seconds), each with a model that would do.

    What many prompts inherit is told once, where it is written, and names them.
    """
    told: dict[tuple[Spot, str], list[tuple[Asked, Doubt]]] = {}
    for pipeline in pipelines.pipelines:
        for prompt in pipeline.prompts:
            for asked, doubt in _doubts(tuple(asked_of(prompt, pipeline.name)), models, now):
                told.setdefault((asked.spot(whereabouts, doubt.keys), doubt.what), []).append((asked, doubt))
    found = [
        (group[0][1].grave, _problem(spot, group, models, now))
        for (spot, _), group in sorted(told.items(), key=lambda each: each[0][0].line)
    ]
    return Findings(
        problems=tuple(problem for grave, problem in found if grave),
        warnings=tuple(problem for grave, problem in found if not grave),
    )


def _problem(spot: Spot, group: Sequence[tuple[Asked, Doubt]], models: Models, now: float) -> Problem:
    asked, doubt = group[0]
    needs = doubt.needs
    for _, other in group[1:]:
        needs |= other.needs
    near = nearest(asked.model, needs, models, now) if doubt.cure else None
    cure = f"{doubt.cure} {shown(near)}, the nearest that would do" if near else doubt.otherwise
    what = doubt.what if spot.own else f"{doubt.what} ({_named(each for each, _ in group)})"
    return Problem(place=spot.place, what=what, cure=cure)


def _named(asked: Iterable[Asked]) -> str:
    names = list(dict.fromkeys(f"pipelines[{each.pipeline}].prompts[{each.prompt.name}]" for each in asked))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"asked by {', '.join(names[:NAMED])}{more}"


def _doubts(asked: Sequence[Asked], models: Models, now: float) -> Iterator[tuple[Asked, Doubt]]:
    """Of one prompt, its fallbacks included."""
    for each in asked:
        model = models.get(each.model)
        if model is None:
            yield each, _unknown(each)
            continue
        for doubt in (*_parameters(each, model, models), *_retirement(each, model, now), *_sizes(each, model)):
            yield each, doubt
    if short := _short(asked, models):
        yield asked[0], short


def _unknown(asked: Asked) -> Doubt:
    return Doubt(
        what=f"the LLM Gateway offers no model {shown(asked.model)}",
        keys=("model",),
        cure="use",
        otherwise="name one that it offers: none takes all that is asked",
        needs=asked.needs(),
    )


def _parameters(asked: Asked, model: Model, models: Models) -> Iterator[Doubt]:
    needs = asked.needs()
    for name in sorted(needs.parameters - model.parameters) if model.parameters else ():
        keys, what = (name, "model"), f"{shown(model.id)} takes no `{name}`"
        if name not in spoken_of(models):
            otherwise = "take it out if answers are refused: the catalogue knows no model that takes it"
            yield Doubt(what=what, keys=keys, cure=None, otherwise=otherwise, needs=needs, grave=False)
            continue
        structured = name == "response_format"
        yield Doubt(
            what=f"{what}, so it gives no structured answers" if structured else what,
            keys=("schema", *keys) if structured else keys,
            cure="use" if structured else "take it out, or use",
            otherwise="take it out: no model takes all that is asked",
            needs=needs,
        )


def _retirement(asked: Asked, model: Model, now: float) -> Iterator[Doubt]:
    if model.retires_at is not None and model.retires_at <= now + SOON:
        over = model.retires_at <= now
        yield Doubt(
            what=f"{shown(model.id)} {'was to retire' if over else 'retires'} on {rfc3339(model.retires_at)[:10]}",
            keys=("model",),
            cure="use",
            otherwise="look for another: none that stays takes all that is asked",
            needs=asked.needs(),
            grave=over,
        )


def _sizes(asked: Asked, model: Model) -> Iterator[Doubt]:
    limit = asked.answer
    if model.context is not None and model.context <= limit:
        what = f"an answer of up to {limit:,} tokens (`max_tokens`) leaves no room in the {model.context:,} of"
    elif model.most_output is not None and model.most_output < limit:
        what = f"`max_tokens` is {limit:,}, above the {model.most_output:,} tokens that an answer may have from"
    else:
        return
    yield Doubt(
        what=f"{what} {shown(model.id)}",
        keys=("max_tokens", "model"),
        cure="lower `max_tokens`, or use",
        otherwise="lower `max_tokens`",
        needs=asked.needs(),
    )


def _short(asked: Sequence[Asked], models: Models) -> Doubt | None:
    """The longest recording fits neither the prompt's model nor any of its fallbacks."""
    own = models.get(asked[0].model)
    if own is None or own.context is None or not asked[0].long or own.context <= asked[0].answer:
        return None
    for each in asked:
        model = models.get(each.model)
        if model is not None and (model.context is None or model.context >= TEN_HOURS + each.answer):
            return None
    needs = asked[0].needs()
    return Doubt(
        what=f"ten hours of speech, about {TEN_HOURS:,} tokens, do not fit into the {own.context:,} of {shown(own.id)}",
        keys=("model",),
        cure="if recordings may be that long, add the fallback",
        otherwise="keep recordings shorter: no model that takes all that is asked has room",
        needs=replace(needs, room=TEN_HOURS + needs.answer),
        grave=False,
    )
