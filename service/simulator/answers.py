"""Answers: extracts of what was said, chosen by the prompt's words. The stand-in understands nothing, and says so."""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from service.simulator.injection import texts
from service.simulator.wire import Json

MARK: Final = "[stand-in extract] "
NOTHING: Final = "[stand-in] There is no transcript in this request to take an extract from."
_SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?]*")
_TURN: Final = re.compile(r"^\s*(?:Speaker \w+|[A-Z]|\d{1,2}):\s+\S")
_WORD: Final = re.compile(r"[a-z']{4,}")
_STOP: Final = frozenset(
    re.findall(
        r"\w+",
        """
        about above according after also answer answers before being below brief call conversation could
        each every following from give given have here interview into just list make meeting more most must
        only other please provide question questions read recording said sentence sentences should some
        speaker speakers summary text that their them then there these they this those transcript using what
        when where which with would write your
        """,
    )
)
_INTENTS: Final[Sequence[tuple[str, str]]] = (
    (
        r"action|to-?do|next step|follow.?up|task",
        r"\b(will|'ll|going to|need to|needs to|let me|send|by (mon|tues|wednes|thurs|fri))",
    ),
    (r"decid|decision|agree", r"\b(decid|agree|let's|we will|okay|settled)"),
    (r"question|ask", r"\?"),
    (
        r"problem|issue|complain|risk|improve|coach|wrong",
        r"\b(problem|issue|sorry|not|n't|wrong|broken|leak|late|worr|annoy|but)",
    ),
    (r"sentiment|feel|mood|tone", r"\b(thank|sorry|happy|annoy|glad|great|love|hate|honestly|afraid)"),
    (
        r"number|date|when|time|price|amount",
        r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|day|week)\b",
    ),
)


def extract(messages: list[Json], transcript: str | None) -> str:
    """A few sentences of the transcript, the same for the same request, others for another prompt."""
    source, instruction = divide(messages, transcript)
    sentences = [found.strip() for found in _SENTENCE.findall(source) if len(found.strip()) > 1]
    if not sentences:
        return NOTHING
    return MARK + " ".join(pick(sentences, instruction.lower()))


def divide(messages: list[Json], transcript: str | None) -> tuple[str, str]:
    """What was said, and what is asked about it."""
    whole = "\n\n".join(text for message in messages for text in texts(message))
    if transcript is not None and transcript.strip():
        before, found, after = whole.partition(transcript)
        if found:
            return transcript, f"{before}\n{after}"
    lines = whole.splitlines()
    turns = [line for line in lines if _TURN.match(line)]
    if len(turns) > 1:
        said = "\n".join(line.split(": ", 1)[1] for line in turns)
        return said, "\n".join(line for line in lines if not _TURN.match(line))
    paragraphs = [part for part in whole.split("\n\n") if part.strip()]
    if paragraphs == [whole] or not paragraphs:
        return "", whole
    longest = max(paragraphs, key=len)
    return longest, "\n".join(part for part in paragraphs if part is not longest)


def pick(sentences: Sequence[str], instruction: str, most: int = 3) -> list[str]:
    """By intent, else by shared words, else by the prompt's digest; in the order in which they were said."""
    for asked, told in _INTENTS:
        if re.search(asked, instruction):
            matching = [sentence for sentence in sentences if re.search(told, sentence.lower())]
            if matching:
                return matching[:most]
    if re.search(r"summar|brief|overview|take-?away|gist", instruction):
        return list(dict.fromkeys([*sentences[: most - 1], sentences[-1]]))
    wanted = {word[:5] for word in _WORD.findall(instruction) if word not in _STOP}
    scored = [
        (len(wanted & {word[:5] for word in _WORD.findall(sentence.lower())}), sentence) for sentence in sentences
    ]
    best = sorted({score for score, _ in scored if score}, reverse=True)[:1]
    if best:
        return [sentence for score, sentence in scored if score == best[0]][:most]
    start = int.from_bytes(hashlib.sha256(instruction.encode()).digest()[:4]) % len(sentences)
    return list(sentences[start : start + 2])
