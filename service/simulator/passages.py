"""Parts of a transcript: sentences, paragraphs, captions, found words."""

import math
import re
from collections.abc import Iterable
from typing import Final

from service.simulator.documents import words_of
from service.simulator.transcripts import Transcript
from service.simulator.wire import Json

CAPTION_CHARS: Final = 128
PARAGRAPH_SENTENCES: Final = 4
_ENDS: Final = re.compile(r"[.!?][\"')\]]*$")
_EDGES: Final = re.compile(r"^\W+|\W+$")


def _sentences(transcript: Transcript) -> list[Json]:
    """A sentence ends at a full stop, and where the speaker changes."""
    sentences: list[Json] = []
    for utterance in transcript.heard.utterances if transcript.heard else ():
        words: list[Json] = []
        for word in words_of(transcript, utterance):
            words.append(word)
            if _ENDS.search(word["text"]):
                sentences.append(_passage(words))
                words = []
        if words:
            sentences.append(_passage(words))
    return sentences


def _passage(words: list[Json]) -> Json:
    return {
        "text": " ".join(word["text"] for word in words),
        "start": words[0]["start"],
        "end": words[-1]["end"],
        "confidence": round(sum(word["confidence"] for word in words) / len(words), 4),
        "words": words,
        "speaker": words[0]["speaker"],
        "channel": words[0]["channel"],
    }


def _whole(transcript: Transcript) -> Json:
    heard = transcript.heard
    words = heard.words if heard else []
    return {
        "id": transcript.id,
        "confidence": round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0,
        "audio_duration": math.ceil(heard.duration) if heard else 0,
        "speech_model_used": (transcript.request.get("speech_models") or ["universal-3-5-pro"])[0],
    }


def sentences_document(transcript: Transcript) -> Json:
    return _whole(transcript) | {"sentences": _sentences(transcript)}


def paragraphs_document(transcript: Transcript) -> Json:
    """Paragraphs carry no speaker and may span several."""
    sentences, paragraphs = _sentences(transcript), list[Json]()
    for place in range(0, len(sentences), PARAGRAPH_SENTENCES):
        words = [word for sentence in sentences[place : place + PARAGRAPH_SENTENCES] for word in sentence["words"]]
        passage = _passage(words)
        paragraphs.append({name: passage[name] for name in ("text", "start", "end", "confidence", "words")})
    return _whole(transcript) | {"paragraphs": paragraphs}


def found_document(transcript: Transcript, phrases: Iterable[str]) -> Json:
    """Where words and phrases of up to five words are said, whatever their case and punctuation."""
    heard = transcript.heard
    words = heard.words if heard else []
    visible = [word["text"] for turn in (heard.utterances if heard else ()) for word in words_of(transcript, turn)]
    spoken = [_EDGES.sub("", text).lower() for text in visible]
    matches: list[Json] = []
    for phrase in phrases:
        wanted = [_EDGES.sub("", part).lower() for part in phrase.split()]
        if not 0 < len(wanted) <= 5:  # noqa: PLR2004 -- the vendor's longest phrase
            continue
        indexes = [place for place in range(len(spoken)) if spoken[place : place + len(wanted)] == wanted]
        if indexes:
            times = [[words[place].start, words[place + len(wanted) - 1].end] for place in indexes]
            matches.append({"text": phrase.lower(), "count": len(indexes), "timestamps": times, "indexes": indexes})
    return {"id": transcript.id, "total_count": sum(len(match["indexes"]) for match in matches), "matches": matches}


def _captions(transcript: Transcript, most: int) -> list[tuple[int, int, str]]:
    captions: list[tuple[int, int, str]] = []
    for sentence in _sentences(transcript):
        line: list[Json] = []
        for word in sentence["words"]:
            if line and len(" ".join(entry["text"] for entry in [*line, word])) > most:
                captions.append(_caption(line))
                line = []
            line.append(word)
        captions.append(_caption(line))
    return captions


def _caption(line: list[Json]) -> tuple[int, int, str]:
    return line[0]["start"], line[-1]["end"], " ".join(word["text"] for word in line)


def srt(transcript: Transcript, most: int) -> str:
    told = _told(transcript, most, ",")
    return "\n".join(f"{number}\n{times}\n{text}\n" for number, (times, text) in enumerate(told, 1))


def vtt(transcript: Transcript, most: int) -> str:
    return "WEBVTT\n\n" + "\n".join(f"{times}\n{text}\n" for times, text in _told(transcript, most, "."))


def _told(transcript: Transcript, most: int, point: str) -> Iterable[tuple[str, str]]:
    for start, end, text in _captions(transcript, most):
        yield f"{_clock(start, point)} --> {_clock(end, point)}", text


def _clock(moment: int, point: str) -> str:
    return f"{moment // 3_600_000:02}:{moment // 60_000 % 60:02}:{moment // 1000 % 60:02}{point}{moment % 1000:03}"
