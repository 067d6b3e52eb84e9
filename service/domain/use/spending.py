"""What one run of a job used: the `usage` of its result."""

from collections.abc import Mapping

from service.domain.asking.answers import Answer
from service.domain.job import Failure, Job
from service.domain.use.prices import speech_cost
from service.domain.use.usage import Usage, dollars, nanodollars, summed


def run_usage(job: Job, answers: Mapping[str, Answer | Failure]) -> dict[str, object]:
    """What the run itself took: its own answers, its refused ones, and its transcript.

    Answers that an earlier run paid for are not counted again, so that the results of all runs add up. Costs are
    estimates by list prices; what has no known price adds nothing to them and is counted as `unpriced_…`.
    """
    asked = [usage for answer in answers.values() if (usage := _own(answer)) is not None]
    whole, seconds = summed(asked), audio_seconds(job)
    heard = speech_cost(seconds, job.transcript.speech_model) if seconds and job.transcript else None
    costs = [cost for cost in (whole.estimated_cost, heard) if cost is not None]
    return {
        **whole.told(),
        "audio_seconds": seconds,
        **({} if heard is None else {"estimated_transcription_cost": heard}),
        **({"estimated_cost": dollars(sum(map(nanodollars, costs)))} if costs else {}),
        "unpriced_requests": sum(usage.requests for usage in asked if usage.estimated_cost is None),
        "unpriced_audio_seconds": seconds if heard is None else 0,
    }


def audio_seconds(job: Job) -> int:
    """Seconds of sound that were billed for this run's transcript: each channel, and each double of it, by itself."""
    transcript = job.transcript
    if transcript is None or not transcript.ours or transcript.run != job.run:
        return 0
    return (transcript.duration or 0) * transcript.channels * (1 + len(job.doubles))


def _own(answer: Answer | Failure) -> Usage | None:
    if isinstance(answer, Answer) and answer.from_run is not None:
        return None
    return answer.usage
