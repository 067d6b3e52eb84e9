"""What may be asked of a transcription (vendor API reference: POST /v2/transcript)."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from service.domain.pipeline import SPEECH_MODELS

KNOWN: Final = frozenset(
    {
        "audio_end_at",
        "audio_start_from",
        "auto_chapters",
        "auto_highlights",
        "boost_param",
        "content_safety",
        "content_safety_confidence",
        "custom_spelling",
        "custom_topics",
        "disfluencies",
        "domain",
        "dual_channel",
        "entity_detection",
        "filter_profanity",
        "format_text",
        "iab_categories",
        "keyterms_prompt",
        "keyterms_prompt_options",
        "language_code",
        "language_codes",
        "language_confidence_threshold",
        "language_detection",
        "language_detection_options",
        "multichannel",
        "prompt",
        "punctuate",
        "redact_pii",
        "redact_pii_audio",
        "redact_pii_audio_options",
        "redact_pii_audio_quality",
        "redact_pii_policies",
        "redact_pii_return_unredacted",
        "redact_pii_sub",
        "redact_static_entities",
        "remove_audio_tags",
        "sentiment_analysis",
        "speaker_labels",
        "speaker_options",
        "speakers_expected",
        "speech_model",
        "speech_models",
        "speech_threshold",
        "speech_understanding",
        "summarization",
        "summary_model",
        "summary_type",
        "temperature",
        "topics",
        "word_boost",
    }
)
"""Names that the vendor documents; others are passed on with a warning."""


def ours(name: str) -> bool:
    """Set by the service for each recording, so never by a pipeline."""
    return name == "audio_url" or name.startswith("webhook_")


def tells_turns_apart(options: Mapping[str, JsonValue]) -> bool:
    """Whether the transcript will have utterances."""
    return any(options.get(name) is True for name in ("speaker_labels", "multichannel", "dual_channel"))


def complete(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """With the speech models named: without them the vendor has refused, or changed its choice, before."""
    if "speech_models" in options or "speech_model" in options:
        return dict(options)
    return {**options, "speech_models": list(SPEECH_MODELS)}
