"""Transcripts as the API shows them."""

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from service.simulator.parameters import PARAMETERS
from service.simulator.scripts import Utterance, Word
from service.simulator.transcripts import DELETED_TEXT, Transcript
from service.simulator.wire import Json, stamp

DETECTED_CONFIDENCE: Final = 0.98
_NUMBERS: Final = re.compile(r"\d")


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
        results |= {"unredacted_text": heard.text, "unredacted_words": results["words"]}
        results |= {"unredacted_utterances": results["utterances"]}
    return results | _extras(asked)


def _metadata(transcript: Transcript) -> Json:
    warnings = [{"message": text} for text in transcript.warnings]
    return {"domain_used": transcript.request.get("domain"), "warning": None, "warnings": warnings or None}


def _extras(asked: Json) -> Json:
    """Features that the stand-in accepts and finds nothing for."""
    found: Json = {"status": "success", "results": []}
    summed = found | {"summary": {}}
    return {
        "auto_highlights_result": found if asked.get("auto_highlights") else None,
        "content_safety_labels": summed | {"severity_score_summary": {}} if asked.get("content_safety") else None,
        "iab_categories_result": summed if asked.get("iab_categories") else None,
        "sentiment_analysis_results": [] if asked.get("sentiment_analysis") else None,
        "entities": [] if asked.get("entity_detection") else None,
    }


def text_of(transcript: Transcript) -> str:
    """The transcript's text as the account may see it: redacted if that was asked for."""
    return redacted(transcript, transcript.heard.text) if transcript.heard else ""


def redacted(transcript: Transcript, text: str) -> str:
    """The stand-in knows one kind of personal data: digits."""
    if not transcript.request.get("redact_pii"):
        return text
    return _NUMBERS.sub("[NUMBER]" if transcript.request.get("redact_pii_sub") == "entity_name" else "#", text)


def mean_confidence(words: Sequence[Word]) -> float:
    return round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0


def voice(transcript: Transcript, speaker: str) -> Json:
    """How a speaker is shown: by channel, by label, or not at all."""
    if transcript.multichannel and transcript.heard is not None:
        channel = str(transcript.heard.speakers.index(speaker) + 1)
        return {"speaker": channel, "channel": channel}
    return {"speaker": speaker if transcript.request.get("speaker_labels") else None, "channel": None}


def words_of(transcript: Transcript, utterance: Utterance) -> list[Json]:
    shown = voice(transcript, utterance.speaker)
    return [
        {
            "text": redacted(transcript, word.text),
            "start": word.start,
            "end": word.end,
            "confidence": word.confidence,
            **shown,
        }
        for word in utterance.words
    ]


def utterance_documents(transcript: Transcript) -> list[Json]:
    heard = transcript.heard
    return [
        {
            "text": redacted(transcript, utterance.text),
            "start": utterance.start,
            "end": utterance.end,
            "confidence": mean_confidence(utterance.words),
            "words": words_of(transcript, utterance),
            **voice(transcript, utterance.speaker),
        }
        for utterance in (heard.utterances if heard else ())
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
