"""What a pipeline would newly ask of a recording that has been asked before: only what has no answer yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.asking import combining, prompts
from service.domain.asking.answers import Answer
from service.domain.asking.sizes import BYTES_PER_TOKEN
from service.domain.asking.templates import Source
from service.domain.errors import Permanent
from service.domain.pipeline import Pipeline, Prompt

DigestOf = Callable[[Prompt, Mapping[str, Answer]], str]
"""The digest of a prompt, given the answers that it uses. Raises Permanent for one that cannot be asked."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`new` are the prompts that would be asked, in the pipeline's order; everything else is answered already.

    `unfit` are those that cannot be asked of this transcript, and why.
    """

    new: tuple[Prompt, ...]
    unfit: Mapping[str, str]


def compared(pipeline: Pipeline, answers: Mapping[str, Sequence[Answer]], digest_of: DigestOf) -> Comparison:
    """What today's prompts make of the `answers` of earlier runs, by prompt: one of the same digest is used again.

    A prompt that uses a new answer is new itself, whatever that answer will be.
    """
    new: set[str] = set()
    unfit: dict[str, str] = {}
    used_again: dict[str, Answer] = {}
    for prompt in (each for wave in prompts.order(pipeline.prompts) for each in wave):
        needed = prompts.needs(prompt)
        if lacking := sorted(needed & unfit.keys()):
            unfit[prompt.name] = f"it uses the answer of {lacking[0]}, which cannot be asked"
            continue
        if needed & new:
            new.add(prompt.name)
            continue
        try:
            digest = digest_of(prompt, {name: used_again[name] for name in needed})
        except Permanent as error:
            unfit[prompt.name] = error.message
            continue
        known = next((each for each in answers.get(prompt.name, ()) if each.digest == digest), None)
        if known is None:
            new.add(prompt.name)
        else:
            used_again[prompt.name] = known
    return Comparison(new=tuple(each for each in pipeline.prompts if each.name in new), unfit=unfit)


def sharing(pipeline: Pipeline, new: Sequence[Prompt]) -> frozenset[str]:
    """Those of the new prompts that the request of another one answers, if all goes well."""
    names = {prompt.name for prompt in new}
    groups = combining.groups(pipeline.prompts, None) if pipeline.combine else ()
    asked = ([prompt.name for prompt in members if prompt.name in names] for members in groups)
    return frozenset(name for together in asked for name in together[1:])


def requests(prompt: Prompt) -> int:
    """How many the prompt takes if all goes well: one for each turn."""
    turns = sum(message.content is None for message in prompt.messages)
    return turns if prompt.messages and prompt.messages[-1].content is None else turns + 1


def input_tokens(prompt: Prompt, spoken: int, answers: Mapping[str, Sequence[Answer]]) -> int:
    """About how many tokens the prompt's requests hold, over a transcript of so many bytes.

    An answer that it uses is taken to be as long as the last one to that prompt, as far as there is one. Each turn is
    taken to bring along all that the prompt says.
    """
    size = sum(len((message.content or "").encode()) for message in prompt.messages)
    for each in prompts.variables(prompt):
        if each.source in prompts.SPEECH:
            size += spoken
        elif each.source is Source.ANSWER and (known := answers.get(each.name)):
            size += len(known[0].content.encode())
    return requests(prompt) * -(-size // BYTES_PER_TOKEN)
