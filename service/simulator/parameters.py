"""The request parameters of a transcript: their types, their defaults, and what the vendor refuses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from service.simulator.wire import BAD_SCHEMA, Json, RefusedError

_BOOL, _NUMBER, _TEXT, _LIST, _OBJECT = (bool,), (int, float), (str,), (list,), (dict,)

PARAMETERS: Final[Mapping[str, tuple[tuple[type, ...], Any]]] = MappingProxyType(
    {
        "language_code": (_TEXT, "en_us"),
        "audio_url": (_TEXT, None),
        "punctuate": (_BOOL, True),
        "format_text": (_BOOL, True),
        "dual_channel": (_BOOL, None),
        "multichannel": (_BOOL, False),
        "webhook_url": (_TEXT, None),
        "webhook_auth_header_name": (_TEXT, None),
        "webhook_auth_header_value": (_TEXT, None),
        "audio_start_from": (_NUMBER, None),
        "audio_end_at": (_NUMBER, None),
        "word_boost": (_LIST, []),
        "boost_param": (_TEXT, None),
        "filter_profanity": (_BOOL, False),
        "redact_pii": (_BOOL, False),
        "redact_pii_audio": (_BOOL, False),
        "redact_pii_audio_quality": (_TEXT, None),
        "redact_pii_audio_options": (_OBJECT, None),
        "redact_pii_policies": (_LIST, None),
        "redact_pii_sub": (_TEXT, "hash"),
        "redact_pii_return_unredacted": (_BOOL, False),
        "redact_static_entities": (_OBJECT, None),
        "speaker_labels": (_BOOL, False),
        "speakers_expected": (_NUMBER, None),
        "speaker_options": (_OBJECT, None),
        "content_safety": (_BOOL, False),
        "content_safety_confidence": (_NUMBER, None),
        "iab_categories": (_BOOL, False),
        "custom_spelling": (_LIST, None),
        "custom_topics": (_BOOL, False),
        "topics": (_LIST, []),
        "disfluencies": (_BOOL, False),
        "sentiment_analysis": (_BOOL, False),
        "auto_chapters": (_BOOL, False),
        "entity_detection": (_BOOL, False),
        "summarization": (_BOOL, False),
        "summary_model": (_TEXT, None),
        "summary_type": (_TEXT, None),
        "auto_highlights": (_BOOL, False),
        "language_detection": (_BOOL, False),
        "language_confidence_threshold": (_NUMBER, None),
        "language_detection_options": (_OBJECT, None),
        "language_codes": (_LIST, None),
        "speech_threshold": (_NUMBER, None),
        "speech_model": (_TEXT, None),
        "speech_models": (_LIST, ["universal-3-5-pro", "universal-2"]),
        "prompt": (_TEXT, None),
        "temperature": (_NUMBER, 0.0),
        "remove_audio_tags": (_TEXT, None),
        "keyterms_prompt": (_LIST, []),
        "keyterms_prompt_options": (_OBJECT, None),
        "speech_understanding": (_OBJECT, None),
        "domain": (_TEXT, None),
    }
)
SPEECH_MODELS: Final = ("universal-3-pro", "universal-2", "universal-3-5-pro")


def accept(body: Json) -> tuple[Json, list[str]]:
    """What is kept of a request (nulls left out), and the names of the keys that the vendor does not know.

    Raises RefusedError (400) with the texts of the vendor API reference.
    """
    unknown = sorted(set(body) - set(PARAMETERS))
    given: Json = {name: value for name, value in body.items() if name in PARAMETERS and value is not None}
    for name, value in given.items():
        kinds = PARAMETERS[name][0]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not _BOOL):
            raise RefusedError(400, BAD_SCHEMA)
    for name in ("audio_url", "webhook_url"):
        if (name == "audio_url" or name in given) and not _is_url(given.get(name, "")):
            raise RefusedError(400, BAD_SCHEMA)
    _refuse_models(given)
    _refuse_combinations(given)
    if given.get("language_code") == "en":
        given["language_code"] = "en_us"
    if given.get("multichannel") or given.get("dual_channel"):
        given["speaker_labels"] = False
    return given, unknown


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _refuse_models(given: Json) -> None:
    models = given.get("speech_models")
    if models is not None and (not models or any(model not in SPEECH_MODELS for model in models)):
        names = ", ".join(f'"{name}"' for name in SPEECH_MODELS)
        raise RefusedError(400, f'"speech_models" must be a non-empty list containing one or more of: {names}')
    if given.get("speech_model") not in {None, "best", "slam-1", "universal"}:
        raise RefusedError(400, BAD_SCHEMA)


def _refuse_combinations(given: Json) -> None:
    if "speaker_options" in given and "speakers_expected" in given:
        raise RefusedError(400, "Both speaker_options and speakers_expected can not be used in the same request.")
    if given.get("auto_chapters") and given.get("summarization"):
        raise RefusedError(
            400, "Only one of the following models can be enabled at a time: auto_chapters, summarization."
        )
    if not given.get("redact_pii"):
        for name in ("redact_pii_return_unredacted", "redact_static_entities"):
            if given.get(name):
                raise RefusedError(400, f"`{name}` can only be set to True if `redact_pii` is True")
    features = (given.get("speech_understanding") or {}).get("request") or {}
    labelled = given.get("speaker_labels") or given.get("multichannel") or given.get("dual_channel")
    if "speaker_identification" in features and not labelled:
        raise RefusedError(400, "speaker_labels or multichannel required")
