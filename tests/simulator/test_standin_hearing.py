"""What the stand-in hears with ears, and without."""

import hashlib
from pathlib import Path

import pytest

from service.simulator.hearing import Recording, UnheardError, hear, load_library, media_type
from service.simulator.options import Options
from service.simulator.recogniser import HeardWord, NotAudio, RecogniserMissing
from service.simulator.scripts import sniff_duration

NOISE = b"\xff\xfb\x90\x00" + bytes(range(256)) * 4


class Ears:
    """Hears what it is told to."""

    def __init__(self, *words: HeardWord, trouble: Exception | None = None) -> None:
        self._words = list(words)
        self._trouble = trouble

    def hear(self, path: Path) -> list[HeardWord]:
        assert path.is_file()
        if self._trouble is not None:
            raise self._trouble
        return self._words


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    path = tmp_path / "noise.mp3"
    path.write_bytes(NOISE)
    return Recording(path=path, sha256=hashlib.sha256(NOISE).hexdigest(), size=len(NOISE), uploaded=True)


def test_recognised_words_are_one_speakers_with_their_own_times(recording: Recording) -> None:
    heard = hear(recording, {}, Ears(HeardWord("Hello", 100, 400, 0.9), HeardWord("there.", 400, 400, 0.8)))
    assert heard.text == "Hello there."
    assert heard.speakers == ["A"]
    assert [(word.start, word.end, word.confidence) for word in heard.words] == [(100, 400, 0.9), (400, 401, 0.8)]
    assert heard.duration == 0.401


def test_nobody_speaking_is_silence(recording: Recording) -> None:
    assert hear(recording, {}, Ears()).utterances == ()


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (RecogniserMissing("install the ears"), "The stand-in cannot hear this recording: install the ears"),
        (NotAudio("broken"), "File does not appear to contain audio. File type is application/octet-stream (data)."),
    ],
)
def test_without_ears_or_sound_it_says_so(recording: Recording, trouble: Exception, told: str) -> None:
    with pytest.raises(UnheardError) as unheard:
        hear(recording, {}, Ears(trouble=trouble))
    assert str(unheard.value) == told


def test_a_folder_without_scripts_is_an_empty_library(tmp_path: Path) -> None:
    assert load_library(tmp_path) == {}


def test_the_bundled_library_matches_its_files_to_the_byte() -> None:
    folder = Options().recordings
    files = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.*") if path.suffix != ".json"}
    assert files == set(load_library(folder))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "application/x-empty"),
        (b"  <HTML>", "text/html"),
        (b"[1, 2]", "application/json"),
        ("Grüße".encode() * 1000, "text/plain"),
        (("x" * 4095 + "ü").encode(), "text/plain"),
        (NOISE, None),
        (b"\x01\x02\x03", None),
    ],
)
def test_what_is_plainly_no_audio_is_named(head: bytes, kind: str | None) -> None:
    assert media_type(head) == kind


@pytest.mark.parametrize("head", [b"RIFF1234WAVEjunk", b"fLaC" + bytes(30), NOISE])
def test_a_header_that_does_not_say_gives_no_duration(head: bytes) -> None:
    assert sniff_duration(head) is None
