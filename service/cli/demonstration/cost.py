"""What the demonstration would cost on the viewer's own account, before it begins."""

from collections.abc import Iterator, Sequence
from typing import Final

from service.cli.demonstration.samples import Sample
from service.cli.figures import count
from service.domain.pipeline import Pipelines
from service.domain.use.prices import SPEECH_PER_HOUR

PER_HOUR: Final = SPEECH_PER_HOUR["universal-3-5-pro"]
WORDS_PER_SECOND: Final = 2.5
TOKENS_PER_WORD: Final = 1.4


def estimate(samples: Sequence[Sample], pipelines: Pipelines) -> Iterator[str]:
    """Lines to be shown before asking."""
    known = [sample for sample in samples if sample.seconds is not None]
    seconds = sum(sample.seconds or 0 for sample in known)
    prompts = [prompt for sample in samples for prompt in sample.prompts(pipelines)]
    read = sum(
        round((sample.seconds or 0) * WORDS_PER_SECOND * TOKENS_PER_WORD) * len(sample.prompts(pipelines))
        for sample in known
    )
    yield "This uses your own AssemblyAI account, and costs money. An estimate, not an offer:"
    yield (
        f"  transcription: {count(len(known), 'recording')}, {seconds / 60:.1f} minutes at ${PER_HOUR} an hour "
        f"(Universal-3.5 Pro, October 2026): about ${_rounded(seconds / 3600 * PER_HOUR)}"
    )
    for sample in samples:
        if sample.seconds is None:
            yield f"  {sample.name}: how long it lasts is not known before; ${PER_HOUR} for each hour of it"
    yield (
        f"  answers: {count(len(prompts), 'prompt')}, roughly {read:,} tokens to read and at most max_tokens "
        "to write for each, at the list price of their models"
    )


def _rounded(dollars: float) -> str:
    return f"{max(dollars, 0.001):.3f}" if dollars < 1 else f"{dollars:.2f}"
