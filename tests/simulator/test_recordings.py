import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import service.simulator

RECORDINGS = Path(service.simulator.__file__).parent / "recordings"
SOURCES = Path(__file__).parents[1] / "recordings"
Known = dict[str, Any]
KNOWN: list[Known] = json.loads((RECORDINGS / "scripts.json").read_text(encoding="utf-8"))["recordings"]

every_recording = pytest.mark.parametrize("known", KNOWN, ids=lambda known: known["file"])


def seconds_of_flac(data: bytes) -> float:
    """As its STREAMINFO has it: 20 bits of sample rate, 3 of channels, 5 of depth, 36 of samples."""
    assert data.startswith(b"fLaC")
    packed = int.from_bytes(data[18:26], "big")
    return (packed & (1 << 36) - 1) / (packed >> 44)


def seconds_of_mp3(data: bytes) -> float:
    """By walking its frames, each MPEG-2 layer III at 16 kHz: 576 samples; the first only describes the others."""
    kbits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    at = frames = 0
    if data.startswith(b"ID3"):
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    while at < len(data):
        assert data[at : at + 2] == b"\xff\xf3", f"no frame at byte {at}"
        assert data[at + 2] & 0x0C == 0x08, "not 16 kHz"
        at += 72_000 * kbits[data[at + 2] >> 4] // 16_000 + (data[at + 2] >> 1 & 1)
        frames += 1
    return (frames - 1) * 576 / 16_000


def seconds_of(file: Path) -> float:
    return {".flac": seconds_of_flac, ".mp3": seconds_of_mp3}[file.suffix](file.read_bytes())


@every_recording
def test_the_stand_in_knows_a_bundled_recording_by_its_hash(known: Known) -> None:
    assert hashlib.sha256((RECORDINGS / known["file"]).read_bytes()).hexdigest() == known["sha256"]


@every_recording
def test_the_length_on_record_is_the_length_of_the_audio(known: Known) -> None:
    # An MP3 is up to a few frames longer than what went in.
    assert seconds_of(RECORDINGS / known["file"]) == pytest.approx(known["duration"], abs=0.15)


@every_recording
def test_the_turns_follow_one_another_within_the_recording(known: Known) -> None:
    turns = known["utterances"]
    assert all(turn["text"].strip() and turn["speaker"] in {"A", "B"} for turn in turns)
    times = [(turn["start"], turn["end"]) for turn in turns]
    assert all(isinstance(time, int) for turn in times for time in turn)
    assert all(start < end for start, end in times)
    assert all(end < start for (_, end), (start, _) in pairwise(times))
    assert times[0][0] >= 0
    assert times[-1][1] <= known["duration"] * 1000


@every_recording
def test_a_bundled_recording_says_what_its_script_says(known: Known) -> None:
    script = (SOURCES / f"{known['file']}.txt").read_text(encoding="utf-8")
    written = re.sub(r"\{([^|}]*)\|[^}]*\}", r"\1", script).splitlines()
    assert written == [f"{turn['speaker']}: {turn['text']}" for turn in known["utterances"]]


def test_every_bundled_file_is_known_and_they_stay_small() -> None:
    files = {path for path in RECORDINGS.rglob("*") if path.is_file()} - {RECORDINGS / "scripts.json"}
    assert files == {RECORDINGS / known["file"] for known in KNOWN}
    assert sum(path.stat().st_size for path in files) < 1_000_000


def test_the_bundle_shows_two_speakers_one_speaker_and_more_than_one_format() -> None:
    assert {len({turn["speaker"] for turn in known["utterances"]}) for known in KNOWN} == {1, 2}
    assert len({Path(known["file"]).suffix for known in KNOWN}) > 1
