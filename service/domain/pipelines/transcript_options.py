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


DETECTING: Final = frozenset(
    {"language_detection", "language_detection_options", "language_confidence_threshold", "language_codes"}
)
"""What goes with a language that is to be found out, and not with one that is told."""


def ours(name: str) -> bool:
    """Set by the service for each recording, so never by a pipeline."""
    return name == "audio_url" or name.startswith("webhook_")


def tells_turns_apart(options: Mapping[str, JsonValue]) -> bool:
    """Whether the transcript will have utterances."""
    return any(options.get(name) is True for name in ("speaker_labels", "multichannel", "dual_channel"))


def redacts(options: Mapping[str, JsonValue]) -> bool:
    """Whether personal data is taken out of the transcript."""
    return options.get("redact_pii") is True


def as_discreet(made: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]) -> bool:
    """Whether a transcription by `made` took out all that one by `wanted` would."""
    if not redacts(wanted):
        return True
    kinds, terms = "redact_pii_policies", "redact_static_entities"
    return (
        redacts(made)
        and _covers(made.get(kinds), wanted.get(kinds))
        and _covers(made.get(terms) or {}, wanted.get(terms) or {})
    )


def _covers(made: JsonValue, wanted: JsonValue) -> bool:
    if isinstance(made, list) and isinstance(wanted, list):
        return all(each in made for each in wanted)
    if isinstance(made, dict) and isinstance(wanted, dict):
        return all(_covers(made.get(name), each) for name, each in wanted.items())
    return made == wanted


def redacted_audio(options: Mapping[str, JsonValue], *, blank: bool) -> str | None:
    """The form (`mp3`, `wav`) of the redacted audio that comes of these options; None if none does.

    `blank`: the transcript has no words; then there is none but by a further option (vendor API reference: submit).
    """
    if options.get("redact_pii_audio") is not True:
        return None
    more = options.get("redact_pii_audio_options")
    even_blank = isinstance(more, dict) and more.get("return_redacted_no_speech_audio") is True
    if blank and not even_blank:
        return None
    return "wav" if options.get("redact_pii_audio_quality") == "wav" else "mp3"


def in_language(options: Mapping[str, JsonValue], language: str) -> dict[str, JsonValue]:
    """The same transcription for a language that is told, instead of detected."""
    return {**{name: value for name, value in options.items() if name not in DETECTING}, "language_code": language}


def complete(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """With the speech models named: without them the vendor has refused, or changed its choice, before."""
    if "speech_models" in options or "speech_model" in options:
        return dict(options)
    return {**options, "speech_models": list(SPEECH_MODELS)}
