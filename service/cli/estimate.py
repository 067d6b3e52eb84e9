"""What asking new questions of old recordings would take, counted before anything is asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from service.cli.figures import count, lasting
from service.cli.screen import columns
from service.domain.models.allowance import LENGTH, LIMIT
from service.stages.reanalyze import Alone, Due, Reason

WORDS_SHOWN: Final = 5
"""Different words about why recordings are unfit."""

WHY: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.SAME: "would be asked nothing new",
        Reason.ON_ITS_WAY: "on the way already",
        Reason.NO_TRANSCRIPT: "without a transcript: `afterword jobs retry` makes one",
        Reason.NO_PIPELINE: "of a pipeline that the file no longer has",
        Reason.UNFIT: "whose transcript does not have what a required prompt needs",
        Reason.UNREDACTED: "transcribed without the redaction of today: `afterword submit --again` makes it anew",
        Reason.NEWER: "written by a newer version",
    }
)


@dataclass(kw_only=True)
class Asked:
    """One prompt, over all recordings."""

    model: str
    requests: int = 0
    input_tokens: int = 0


@dataclass(kw_only=True)
class Estimate:
    """Requests and tokens by pipeline and prompt, and how many recordings are left alone, by why.

    `allowances`: requests a minute to a model that are ours, as far as models have told; `otherwise`: to any other.
    """

    allowances: Mapping[str, int] = field(default_factory=dict)
    otherwise: int = LIMIT
    recordings: int = 0
    asked: dict[tuple[str, str], Asked] = field(default_factory=dict)
    alone: Counter[Reason] = field(default_factory=Counter)
    unfit: set[str] = field(default_factory=set)

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.asked.values())

    @property
    def input_tokens(self) -> int:
        return sum(each.input_tokens for each in self.asked.values())

    @property
    def seconds(self) -> float:
        """How long our allowance takes for the model that takes the longest."""
        return self._slowest()[0]

    def _slowest(self) -> tuple[float, int]:
        """The seconds of the model that takes the longest, and its requests a minute."""
        models: Counter[str] = Counter()
        for each in self.asked.values():
            models[each.model] += each.requests
        paces = ((requests, self.allowances.get(model, self.otherwise)) for model, requests in models.items())
        return max(((requests * LENGTH / pace, pace) for requests, pace in paces), default=(0.0, self.otherwise))

    def count(self, found: Due | Alone) -> None:
        """One more recording."""
        if isinstance(found, Alone):
            self.alone[found.reason] += 1
            if found.reason is Reason.UNFIT and len(self.unfit) < WORDS_SHOWN:
                self.unfit.add(found.words)
            return
        self.recordings += 1
        for question in found.questions:
            asked = self.asked.setdefault((found.job.pipeline, question.prompt), Asked(model=question.model))
            asked.requests += question.requests
            asked.input_tokens += question.input_tokens

    def view(self) -> dict[str, object]:
        """For machines."""
        prompts = [
            {
                "pipeline": pipeline,
                "prompt": prompt,
                "model": each.model,
                "requests": each.requests,
                "input_tokens": each.input_tokens,
            }
            for (pipeline, prompt), each in sorted(self.asked.items())
        ]
        return {
            "recordings": self.recordings,
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "seconds": round(self.seconds),
            "prompts": prompts,
            "left_alone": {reason.value: number for reason, number in sorted(self.alone.items())},
        }

    def lines(self) -> Sequence[str]:
        """For people: a line for each prompt, and the whole."""
        rows = [
            (pipeline, prompt, each.model, count(each.requests, "request"), _tokens(each.input_tokens))
            for (pipeline, prompt), each in sorted(self.asked.items())
        ]
        whole = ("in all", count(self.recordings, "recording"), "", count(self.requests, "request"))
        return columns([*rows, (*whole, _tokens(self.input_tokens))])

    def notes(self) -> Sequence[str]:
        """How long it takes, and what is left alone."""
        seconds, most = self._slowest()
        pace = f"about {lasting(seconds)} at {most} requests a minute to a model; nothing is transcribed again"
        alone = [f"{count(number, 'recording')} {WHY[reason]}" for reason, number in sorted(self.alone.items())]
        return [*([pace] if self.requests else []), *(f"left alone: {each}" for each in alone), *sorted(self.unfit)]


def _tokens(number: int) -> str:
    return f"about {count(number, 'token')} in"
