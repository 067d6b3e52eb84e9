"""What a pipelines file says of the speech: how it is transcribed, and how prompts see it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import JsonValue

from service.domain.errors import Problem
from service.domain.pipelines import transcript_options
from service.domain.pipelines.raw import RawPipeline, RawSpeech
from service.domain.pipelines.shape import Shaped, Source
from service.domain.pipelines.toml_lines import Path
from service.domain.speech import LONGEST_NAME
from service.domain.spelling import shown

LIKE: Final = 'write it like `speakers = { A = "Agent", B = "Customer" }`'


def default_options(shaped: Shaped) -> Mapping[str, JsonValue]:
    """The transcript options that every pipeline begins with."""
    defaults = shaped.file.defaults
    return (defaults.transcript if defaults else None) or {}


def transcript_of(raw: RawPipeline, shaped: Shaped) -> dict[str, JsonValue]:
    """The pipeline's transcript options over the defaults."""
    return {**default_options(shaped), **(raw.transcript or {})}


def speech_of(raw: RawPipeline, shaped: Shaped) -> dict[str, Any]:
    """How the pipeline's prompts see the speech, over the defaults; only what is said."""
    defaults = shaped.file.defaults
    told = [(defaults.speech if defaults else None), raw.speech]
    return {name: value for each in told if each for name, value in each.model_dump(exclude_none=True).items()}


def check_speech(raw: RawSpeech | None, path: Path, source: Source) -> Iterator[Problem]:
    """What is wrong with the names that speakers are given."""
    for label, name in ((raw.speakers if raw else None) or {}).items():
        what = None
        if not label.strip() or not name.strip():
            what = f"the speaker {shown(label)} has no name" if label.strip() else "a speaker has no label"
        elif len(name) > LONGEST_NAME or not name.isprintable():
            what = f"the name of {shown(label)} is no line of at most {LONGEST_NAME} characters"
        if what is not None:
            yield source.problem((*path, "speakers", label), what, LIKE)


def doubts(raw: RawPipeline, path: Path, source: Source, shaped: Shaped) -> Iterator[Problem]:
    """What is allowed and has no effect, or another one than it seems."""
    options, speech = transcript_of(raw, shaped), speech_of(raw, shaped)
    place = (*path, "transcript")

    def doubt(option: str, what: str, cure: str) -> Problem:
        return source.problem((*place, option) if option in (raw.transcript or {}) else path, what, cure)

    if options.get("redact_pii_return_unredacted") is True:
        what = (
            "`redact_pii_return_unredacted` has AssemblyAI keep the unredacted words, and nothing of them is used here"
        )
        yield doubt("redact_pii_return_unredacted", what, "take it out")
    if options.get("redact_pii_audio") is True and not transcript_options.redacts(options):
        yield doubt("redact_pii_audio", "`redact_pii_audio` goes with `redact_pii`", "set `redact_pii = true` too")
    if options.get("speech_understanding") and transcript_options.redacts(options):
        what = "AssemblyAI does not say that what it understands of a redacted transcript is redacted: it is not kept"
        cure = "ask for it by a prompt; speakers keep the names and roles that the request lists"
        yield doubt("speech_understanding", what, cure)
    if "fallback_language" in speech and options.get("language_detection") is not True:
        what = "`fallback_language` is for where AssemblyAI is to detect the language"
        told = (*path, "speech", "fallback_language") if raw.speech and raw.speech.fallback_language else path
        yield source.problem(
            told, what, "set `language_detection = true` below `[pipelines.transcript]`, or take it out"
        )
