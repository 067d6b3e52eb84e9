"""What a failed job takes along into its next run, and what it tries anew."""

from service.domain.errors import Code
from service.domain.job import Failure, Job, Outcome, Status, TranscriptFacts, TranscriptId
from service.stages.retry import begins_at, next_run
from tests.unit.event_samples import job, verdict

NOW = 1_772_450_000.0
UNKEPT = TranscriptFacts(id=TranscriptId("t-1"), ours=True)
KEPT = UNKEPT.model_copy(update={"kept": True})


def failed(code: Code, transcript: TranscriptFacts | None, **facts: object) -> Job:
    error = Failure(code=code, message="It failed.")
    return job(verdict(Outcome.FAILED, error), transcript=transcript).model_copy(update=facts)


def again(ended: Job) -> Job:
    return next_run(ended, begins_at(ended), NOW, repin=False)


def test_redacted_audio_that_was_not_ready_in_time_is_looked_for_again() -> None:
    assert again(failed(Code.PROMPT_FAILED, KEPT, redacted_audio=False)).redacted_audio is None
    assert again(failed(Code.PROMPT_FAILED, KEPT, redacted_audio=True)).redacted_audio is True


def test_a_language_is_detected_anew_only_where_all_is_transcribed_anew() -> None:
    anew = again(failed(Code.NO_SPEECH, UNKEPT, fell_back=True))
    assert (anew.transcript, anew.fell_back, anew.spent) == (None, False, ("t-1",))
    assert again(failed(Code.PROMPT_FAILED, KEPT, fell_back=True)).fell_back


def test_a_transcript_that_was_deleted_before_it_was_kept_is_made_again() -> None:
    assert begins_at(failed(Code.TRANSCRIPTION_TIMEOUT, UNKEPT)) is Status.SUBMITTED
    assert begins_at(failed(Code.TRANSCRIPTION_TIMEOUT, UNKEPT, forgotten=True)) is Status.RECEIVED
    assert begins_at(failed(Code.PROMPT_FAILED, KEPT, forgotten=True)) is Status.TRANSCRIBED
    made = again(failed(Code.TRANSCRIPTION_TIMEOUT, UNKEPT, forgotten=True))
    assert (made.transcript, made.forgotten) == (None, False)
