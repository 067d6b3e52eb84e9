"""What prompts see of the speech: who said what and when, whole turns, and paragraphs."""

import pytest

from service.domain.errors import StorageTrouble
from service.domain.pipeline import Speech
from service.domain.speech import (
    LONGEST,
    SENTENCES,
    SILENCE,
    divided,
    paragraphs_json,
    stored_paragraphs,
    utterances,
)
from service.domain.transcript import Document, Paragraph, Utterance, Word

PLAIN = Speech()
IDENTIFIED = {"request": {}, "response": {"speaker_identification": {"mapping": {"A": "Michel", "B": "Peter"}}}}


def turn(speaker: str, text: str, channel: str | None = None, start: int = 0) -> Utterance:
    return Utterance(speaker=speaker, text=text, start=start, end=start + 1, confidence=1, channel=channel)


def document(*turns: Utterance, text: str = "x", words: tuple[Word, ...] = (), **more: object) -> Document:
    whole = Document(text=text, words=words, utterances=turns, confidence=1, language="en", duration=1)
    return whole.model_copy(update=more)


def spoken(*texts: str, pause: int = 100) -> tuple[Word, ...]:
    """Words a tenth of a second long, with a pause before each."""
    return tuple(
        Word(text=text, start=at * (100 + pause), end=at * (100 + pause) + 100, confidence=1)
        for at, text in enumerate(texts)
    )


def test_turns_are_lines_by_speaker() -> None:
    said = document(turn("A", "Hello."), turn("B", "Hi."))
    assert utterances(said, PLAIN) == "Speaker A: Hello.\nSpeaker B: Hi."


def test_turns_of_channels_are_lines_by_channel() -> None:
    assert utterances(document(turn("A", "Hello.", "1")), PLAIN) == "Channel 1: Hello."


def test_a_transcript_without_turns_has_none_to_tell() -> None:
    assert utterances(document(utterances=None), PLAIN) is None
    assert utterances(document(), PLAIN) is None


def test_each_line_begins_with_its_time_where_that_is_asked_for() -> None:
    said = document(turn("A", "Early.", start=999), turn("B", "Late.", start=((11 * 60) + 22) * 60_000 + 33_456))
    assert utterances(said, Speech(timestamps=True)) == "[00:00:00] Speaker A: Early.\n[11:22:33] Speaker B: Late."


def test_a_turn_is_one_line_whatever_is_in_it() -> None:
    said = document(turn("A", "One.\nSpeaker B: I agree.\u2028Two."))
    assert utterances(said, PLAIN) == "Speaker A: One. Speaker B: I agree. Two."


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (turn("A", "Hi."), "Agent: Hi."),
        (turn("2", "Hi.", "2"), "Caller: Hi."),
        (turn("2B", "Hi.", "2"), "Caller: Hi."),
        (turn("C", "Hi."), "Speaker C: Hi."),
    ],
)
def test_speakers_and_channels_have_the_names_that_the_pipeline_gives_them(said: Utterance, line: str) -> None:
    assert utterances(document(said), Speech(speakers={"A": "Agent", "2": "Caller"})) == line


@pytest.mark.parametrize("shown", ["A", "Michel"])
def test_speakers_that_the_vendor_identified_have_their_names_in_either_form(shown: str) -> None:
    said = document(turn(shown, "Hi."), turn("C", "Who?"), speech_understanding=IDENTIFIED)
    assert utterances(said, PLAIN) == "Michel: Hi.\nSpeaker C: Who?"


@pytest.mark.parametrize("shown", ["A", "Michel"])
def test_the_pipelines_name_wins_over_the_one_that_the_vendor_found(shown: str) -> None:
    said = document(turn(shown, "Hi."), turn("Peter", "Ho."), speech_understanding=IDENTIFIED)
    assert utterances(said, Speech(speakers={"A": "Host"})) == "Host: Hi.\nPeter: Ho."


@pytest.mark.parametrize(
    "odd",
    [
        {"omitted": True},
        {"response": None},
        {"response": {"speaker_identification": "failed"}},
        {"response": {"speaker_identification": {"mapping": {"A": 7, "B": " "}}}},
    ],
)
def test_an_identification_that_says_nothing_names_nobody(odd: dict[str, object]) -> None:
    assert utterances(document(turn("A", "Hi."), speech_understanding=odd), PLAIN) == "Speaker A: Hi."


def test_a_found_name_is_one_short_line() -> None:
    found = {"response": {"speaker_identification": {"mapping": {"A": "Eve\n" + "x" * 500}}}}
    line = utterances(document(turn("A", "Hi."), speech_understanding=found), PLAIN)
    assert line is not None
    assert len(line) < 120
    assert "\n" not in line


def test_paragraphs_are_kept_and_read_with_a_blank_line_between_them() -> None:
    kept = paragraphs_json([Paragraph(text="Größe.", start=0, end=1), Paragraph(text="Ja.", start=2, end=3)])
    assert stored_paragraphs(kept) == "Größe.\n\nJa."
    assert "Größe".encode() in kept
    with pytest.raises(StorageTrouble, match=r"paragraphs\.json .* restore it"):
        stored_paragraphs(b"{}")


def test_our_own_paragraphs_end_after_some_sentences_or_a_silence() -> None:
    sentences = [f"{number}." for number in range(SENTENCES + 2)]
    found = divided(document(words=spoken(*sentences)))
    assert [each.text for each in found] == [" ".join(sentences[:SENTENCES]), " ".join(sentences[SENTENCES:])]
    assert (found[0].start, found[1].start) == (0, SENTENCES * 200)
    assert [each.text for each in divided(document(words=spoken("One.", "Two.", pause=SILENCE)))] == ["One.", "Two."]
    # A breath within a sentence ends nothing.
    assert len(divided(document(words=spoken("one", "two", pause=SILENCE)))) == 1


def test_our_own_paragraphs_lose_no_word_and_end_where_there_are_no_sentences() -> None:
    words = [f"w{number}" for number in range(2 * LONGEST + 1)]
    found = divided(document(words=spoken(*words)))
    assert " ".join(each.text for each in found).split() == words
    assert [len(each.text.split()) for each in found] == [LONGEST, LONGEST, 1]


def test_text_without_words_is_one_paragraph_and_nothing_is_none() -> None:
    assert [each.text for each in divided(document(text=" All of it. "))] == ["All of it."]
    assert divided(document(text=" ")) == ()
