"""What the stand-in hears in a recording: a bundled script, a script inside the file, or a recogniser's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from service.simulator.recogniser import NotAudio, Recogniser, RecogniserMissing
from service.simulator.scripts import Heard, Utterance, Word, from_script, parse_script, sniff_duration

SCRIPT_HEADER: Final = b"AFTERWORD-SCRIPT\n"
MAX_SCRIPT_BYTES: Final = 4 << 20
SHORTEST_SECONDS: Final = 0.16
LONGEST_SECONDS: Final = 36_000.0


class UnheardError(Exception):
    """A recording that ends in `status: error`; the message is the transcript's `error`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Audio on the stand-in's disk. `uploaded` tells an upload from a download."""

    path: Path
    sha256: str
    size: int
    uploaded: bool


Library = Mapping[str, Heard]


def load_library(folder: Path) -> dict[str, Heard]:
    """The bundled recordings by SHA-256. Empty when the folder holds no `scripts.json`."""
    listing = folder / "scripts.json"
    if not listing.is_file():
        return {}
    return {entry["sha256"]: from_script(entry) for entry in orjson.loads(listing.read_bytes())["recordings"]}


def hear(recording: Recording, library: Library, recogniser: Recogniser) -> Heard:
    """Blocks while it reads and recognises. Raises UnheardError with the vendor's text, or the stand-in's own."""
    known = library.get(recording.sha256)
    if known is not None:
        return known
    with recording.path.open("rb") as file:
        head = file.read(MAX_SCRIPT_BYTES)
    if head.startswith(SCRIPT_HEADER):
        heard = parse_script(head.removeprefix(SCRIPT_HEADER))
        _refuse_length(heard.duration)
        return heard
    _refuse_type(head, uploaded=recording.uploaded)
    duration = sniff_duration(head)
    if duration is not None:
        _refuse_length(duration)
    return _recognise(recording.path, duration, recogniser)


def _refuse_length(seconds: float) -> None:
    if seconds < SHORTEST_SECONDS:
        raise UnheardError("Audio duration is too short.")
    if seconds > LONGEST_SECONDS:
        raise UnheardError("Audio duration is too long.")


def _refuse_type(head: bytes, *, uploaded: bool) -> None:
    kind = media_type(head)
    if kind is None:
        return
    if kind != "text/html" and uploaded:
        raise UnheardError(f"Transcoding failed. File type {kind}")
    detail = {"text/html": "HTML document", "application/json": "JSON data", "text/plain": "ASCII text"}.get(
        kind, "empty"
    )
    raise UnheardError(f"File does not appear to contain audio. File type is {kind} ({detail}).")


def media_type(head: bytes) -> str | None:
    """The type of what is plainly no audio; None for anything that may be some."""
    if not head:
        return "application/x-empty"
    start = head[:1024].lstrip()
    if start[:15].lower().startswith((b"<!doctype", b"<html", b"<head", b"<body")):
        return "text/html"
    if b"\0" in head[:4096] or not _is_text(head[:4096]):
        return None
    return "application/json" if start[:1] in b"{[" else "text/plain"


def _is_text(sample: bytes) -> bool:
    try:
        text = sample.decode()
    except UnicodeDecodeError as error:
        # A character cut in two by the sample's end is still text.
        if error.start < len(sample) - 3:
            return False
        text = sample[: error.start].decode()
    return all(letter.isprintable() or letter in "\r\n\t\f\ufeff" for letter in text)


def _recognise(path: Path, duration: float | None, recogniser: Recogniser) -> Heard:
    try:
        spoken = recogniser.hear(path)
    except RecogniserMissing as error:
        raise UnheardError(f"The stand-in cannot hear this recording: {error}") from error
    except NotAudio as error:
        raise UnheardError(
            "File does not appear to contain audio. File type is application/octet-stream (data)."
        ) from error
    words = tuple(Word(word.text, word.start, max(word.end, word.start + 1), word.confidence) for word in spoken)
    length = duration if duration is not None else (words[-1].end / 1000 if words else 1.0)
    said = (Utterance("A", words[0].start, words[-1].end, words),) if words else ()
    return Heard(duration=length, language="en_us", utterances=said)
