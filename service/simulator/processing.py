"""A transcript's life: queued, processing, then completed or failed, at the pace of the knobs."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from service.simulator.agenda import Agenda, Crew
from service.simulator.documents import DETECTED_CONFIDENCE, utterance_documents
from service.simulator.hearing import Library, UnheardError, hear
from service.simulator.ledger import Ledger
from service.simulator.options import Options
from service.simulator.recogniser import Recogniser
from service.simulator.scripts import Heard
from service.simulator.sounds import Sounds, UndownloadableError
from service.simulator.transcripts import Transcript
from service.simulator.understanding import understand
from service.simulator.wire import SERVER_ERROR

NO_SPEECH: Final = "language_detection cannot be performed on files with no spoken audio."
EARS: Final = 16
"""Recordings fetched or heard at once."""


class Processing:
    """Moves transcripts on. A waiting transcript is an entry in a list or a heap, nothing more.

    Whoever comes back from a wait looks whether the job is still worked on: a reset may have forgotten it.
    """

    def __init__(
        self,
        *,
        options: Options,
        agenda: Agenda,
        sounds: Sounds,
        library: Library,
        ledger: Ledger,
        announce: Callable[[Transcript], None],
        announce_redacted: Callable[[Transcript], None],
    ) -> None:
        self._options = options
        self._agenda = agenda
        self._sounds = sounds
        self._library = library
        self._ledger = ledger
        self._announce = announce
        self._announce_redacted = announce_redacted
        self._recogniser = Recogniser()
        self._crew = Crew(EARS)
        self._line: deque[Transcript] = deque()
        self._working: set[str] = set()

    def accept(self, transcript: Transcript) -> None:
        self._agenda.after(self._options.queue_seconds, partial(self._admit, transcript))

    def clear(self) -> None:
        self._line.clear()
        self._working.clear()
        self._crew.clear()

    async def close(self) -> None:
        await self._crew.close()

    def _admit(self, transcript: Transcript) -> None:
        if transcript.fate.stuck:
            # It would hold its place for ever; the account's other jobs are not what this fault is about.
            transcript.status = "processing"
            return
        if len(self._working) >= self._options.parallel_jobs:
            transcript.throttled = True
            self._line.append(transcript)
            return
        self._begin(transcript)

    def _begin(self, transcript: Transcript) -> None:
        transcript.status, transcript.throttled = "processing", False
        self._working.add(transcript.id)
        self._crew.add(partial(self._fetch, transcript))

    async def _fetch(self, transcript: Transcript) -> None:
        try:
            transcript.recording = await self._sounds.fetch(transcript.request["audio_url"])
        except UndownloadableError as error:
            self._fail(transcript, str(error))
            return
        if transcript.id not in self._working:
            return
        self._ledger.fetched(transcript.entry, transcript.recording.sha256)
        seconds = transcript.fate.seconds
        seconds = self._options.process_seconds if seconds is None else seconds
        self._agenda.after(seconds, lambda: self._crew.add(partial(self._hear, transcript)))

    async def _hear(self, transcript: Transcript) -> None:
        recording = transcript.recording
        assert recording is not None
        try:
            heard = await asyncio.to_thread(hear, recording, self._library, self._recogniser)
            heard = fated(transcript, heard)
            transcript.warnings = doubts(transcript, heard)
        except UnheardError as error:
            self._fail(transcript, str(error))
        except OSError:
            self._fail(transcript, f"Download error, unable to access file at {transcript.audio_url}")
        except Exception:  # noqa: BLE001 -- a recogniser raises what it likes, and the job must end all the same
            self._fail(transcript, SERVER_ERROR)
        else:
            self._complete(transcript, heard)
        if not transcript.request.get("redact_pii_audio"):
            self._sounds.release(recording, deleted=False)

    def _complete(self, transcript: Transcript, heard: Heard) -> None:
        if transcript.id not in self._working:
            return
        transcript.heard = heard
        asked = transcript.request.get("speech_understanding") or {}
        if asked.get("request"):
            response = understand(asked["request"], heard, utterance_documents(transcript))
            transcript.understood = {"request": asked["request"], "response": response}
        transcript.status = "completed"
        channels = max(1, len(heard.speakers)) if transcript.multichannel else 1
        self._ledger.billed(transcript.entry, -int(-heard.duration // 1) * channels)
        if transcript.request.get("redact_pii_audio"):
            self._agenda.after(self._options.redacted_audio_seconds, partial(self._redact, transcript))
        self._end(transcript)

    def _fail(self, transcript: Transcript, text: str) -> None:
        if transcript.id not in self._working:
            return
        transcript.status, transcript.error = "error", text
        self._end(transcript)

    def _end(self, transcript: Transcript) -> None:
        transcript.completed = datetime.now(UTC)
        self._ledger.ended(transcript.entry, transcript.status)
        self._working.discard(transcript.id)
        if self._line and len(self._working) < self._options.parallel_jobs:
            self._begin(self._line.popleft())
        self._announce(transcript)

    def _redact(self, transcript: Transcript) -> None:
        if not transcript.deleted:
            transcript.redacted_ready = True
            self._announce_redacted(transcript)


def fated(transcript: Transcript, heard: Heard) -> Heard:
    """What the fault dial leaves of what was heard. Raises UnheardError where it makes the job fail."""
    if transcript.fate.error is not None:
        raise UnheardError(transcript.fate.error)
    return replace(heard, utterances=()) if transcript.fate.blank else heard


def doubts(transcript: Transcript, heard: Heard) -> list[str]:
    """Warnings about a recording that completes all the same. Raises UnheardError when the request forbids it to."""
    asked = transcript.request
    threshold = asked.get("speech_threshold") or 0
    spoken = sum(utterance.end - utterance.start for utterance in heard.utterances) / 1000 / heard.duration
    if spoken < threshold:
        text = f"Audio speech threshold {spoken:.4f} is below the requested speech threshold value {float(threshold)}"
        raise UnheardError(text)
    if not asked.get("language_detection"):
        return []
    detection = asked.get("language_detection_options") or {}
    if not heard.utterances:
        if detection.get("on_no_speech_detected") == "fallback":
            return ["No speech was detected; the fallback language was used."]
        raise UnheardError(NO_SPEECH)
    wanted = asked.get("language_confidence_threshold") or 0
    if wanted <= DETECTED_CONFIDENCE:
        return []
    text = f"confidence {DETECTED_CONFIDENCE}, is below the requested confidence threshold value of '{wanted}'"
    if detection.get("on_low_language_confidence") == "fallback":
        return [f"Detected language {text}."]
    raise UnheardError(f"Detected language '{heard.language}', {text}.")
