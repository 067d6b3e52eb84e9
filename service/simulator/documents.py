"""Transcripts as the API shows them."""

import math
from collections.abc import Sequence
from typing import Any, Final

from service.simulator.parameters import PARAMETERS
from service.simulator.redaction import shown
from service.simulator.scripts import Heard, Utterance, Word
from service.simulator.transcripts import DELETED_TEXT, Transcript
from service.simulator.wire import Json, stamp

DETECTED_CONFIDENCE: Final = 0.98


def transcript_document(transcript: Transcript) -> Json:
    """The transcript object: every request parameter echoed, every documented key present."""
    document: Json = {name: transcript.request.get(name, default) for name, (_, default) in PARAMETERS.items()}
    if not transcript.fate.echo_secret:
        document["webhook_auth_header_value"] = None
    document |= {
        "id": transcript.id,
        "status": transcript.status,
        "error": transcript.error,
        "audio_url": transcript.audio_url,
        "webhook_auth": bool(transcript.request.get("webhook_auth_header_name")),
        "webhook_status_code": transcript.webhook_status_code,
        "throttled": transcript.throttled,
        "acoustic_model": "assemblyai_default",
        "language_model": "assemblyai_default",
        "project_id": 1,
        "token_id": 1,
        "speed_boost": False,
        "summary": None,
        "chapters": None,
        "translated_texts": None,
        **dict.fromkeys(_RESULTS),
    }
    if transcript.deleted:
        document["text"] = DELETED_TEXT
    elif transcript.status == "completed":
        document |= _results(transcript)
    return document


_RESULTS: Final = (
    "text",
    "words",
    "utterances",
    "unredacted_text",
    "unredacted_words",
    "unredacted_utterances",
    "confidence",
    "audio_duration",
    "audio_channels",
    "language_confidence",
    "language_detection_results",
    "auto_highlights_result",
    "content_safety_labels",
    "iab_categories_result",
    "sentiment_analysis_results",
    "entities",
    "speech_model_used",
    "metadata",
)


def _results(transcript: Transcript) -> Json:
    asked, heard = transcript.request, transcript.heard
    assert heard is not None
    results: Json = {
        "text": text_of(transcript),
        "words": [word for utterance in heard.utterances for word in words_of(transcript, utterance)],
        "utterances": utterance_documents(transcript)
        if asked.get("speaker_labels") or transcript.multichannel
        else None,
        "confidence": mean_confidence(heard.words),
        "audio_duration": math.ceil(heard.duration),
        "audio_channels": max(1, len(heard.speakers)) if transcript.multichannel else 1,
        "speech_model_used": (asked.get("speech_models") or ["universal-3-5-pro"])[0],
        "metadata": _metadata(transcript),
        "speech_understanding": transcript.understood or asked.get("speech_understanding"),
    }
    if asked.get("language_detection"):
        results |= {"language_code": heard.language, "language_confidence": DETECTED_CONFIDENCE}
    if asked.get("redact_pii_return_unredacted"):
        results |= {"unredacted_text": heard.text}
        results |= {
            "unredacted_words": [each for turn in heard.utterances for each in _words(transcript, turn, turn.words)]
        }
        results |= {"unredacted_utterances": utterance_documents(transcript, redact=False)}
    return results | _translated(transcript) | _extras(asked, heard)


def _metadata(transcript: Transcript) -> Json:
    warnings = [{"message": text} for text in transcript.warnings]
    return {"domain_used": transcript.request.get("domain"), "warning": None, "warnings": warnings or None}


def _translated(transcript: Transcript) -> Json:
    """The text of each language asked for, inline: the stand-in knows none, and marks the text with its code."""
    asked = (transcript.request.get("speech_understanding") or {}).get("request") or {}
    languages = (asked.get("translation") or {}).get("target_languages") or []
    return {"translated_texts": {code: f"[{code}] {text_of(transcript)}" for code in languages}} if languages else {}


def _extras(asked: Json, heard: Heard) -> Json:
    """Features that the stand-in accepts and finds little for. As at the vendor, these are never redacted."""
    found: Json = {"status": "success", "results": []}
    summed = found | {"summary": {}}
    return {
        "auto_highlights_result": found if asked.get("auto_highlights") else None,
        "content_safety_labels": summed | {"severity_score_summary": {}} if asked.get("content_safety") else None,
        "iab_categories_result": summed if asked.get("iab_categories") else None,
        "sentiment_analysis_results": _sentiments(heard) if asked.get("sentiment_analysis") else None,
        "entities": _entities(heard) if asked.get("entity_detection") else None,
    }


def text_of(transcript: Transcript) -> str:
    """The transcript's text as the account may see it: redacted if that was asked for."""
    heard = transcript.heard
    return " ".join(text_in(transcript, each) for each in heard.utterances) if heard else ""


def text_in(transcript: Transcript, utterance: Utterance) -> str:
    """The same of one turn."""
    return " ".join(word.text for word in shown(transcript, utterance))


def _sentiments(heard: Heard) -> list[Json]:
    return [
        {"text": each.text, "sentiment": "NEUTRAL", "start": each.start, "end": each.end} for each in heard.utterances
    ]


def _entities(heard: Heard) -> list[Json]:
    named = [(policy, term) for policy, terms in heard.private.items() for term in terms]
    return [{"entity_type": policy, "text": term, "start": 0, "end": 1} for policy, term in named]


def mean_confidence(words: Sequence[Word]) -> float:
    return round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0


def voice(transcript: Transcript, speaker: str) -> Json:
    """How a speaker is shown: by channel, by label or the name that was found for it, or not at all."""
    if transcript.multichannel and transcript.heard is not None:
        channel = str(transcript.heard.speakers.index(speaker) + 1)
        return {"speaker": channel, "channel": channel}
    if not transcript.request.get("speaker_labels"):
        return {"speaker": None, "channel": None}
    found = (transcript.understood or {}).get("response", {}).get("speaker_identification", {})
    return {"speaker": found.get("mapping", {}).get(speaker, speaker), "channel": None}


def words_of(transcript: Transcript, utterance: Utterance) -> list[Json]:
    """The words of a turn as the account may see them."""
    return _words(transcript, utterance, shown(transcript, utterance))


def _words(transcript: Transcript, utterance: Utterance, words: Sequence[Word]) -> list[Json]:
    spoken_by = voice(transcript, utterance.speaker)
    return [
        {"text": word.text, "start": word.start, "end": word.end, "confidence": word.confidence, **spoken_by}
        for word in words
    ]


def utterance_documents(transcript: Transcript, *, redact: bool = True) -> list[Json]:
    heard = transcript.heard
    turns = [(each, shown(transcript, each) if redact else each.words) for each in (heard.utterances if heard else ())]
    return [
        {
            "text": " ".join(word.text for word in words),
            "start": turn.start,
            "end": turn.end,
            "confidence": mean_confidence(words),
            "words": _words(transcript, turn, words),
            **voice(transcript, turn.speaker),
        }
        for turn, words in turns
    ]


def list_item(transcript: Transcript) -> dict[str, Any]:
    """One entry of `GET /v2/transcript`; it carries no webhook_url."""
    finished = transcript.completed if transcript.status == "completed" else None
    return {
        "id": transcript.id,
        "resource_url": f"{transcript.base_url}/v2/transcript/{transcript.id}",
        "status": transcript.status,
        "created": stamp(transcript.created),
        "completed": stamp(finished) if finished else None,
        "audio_url": transcript.audio_url,
        "error": "" if transcript.status == "completed" else transcript.error,
    }
