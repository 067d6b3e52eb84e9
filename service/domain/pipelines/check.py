"""What is wrong with a pipelines file beyond its shape: every problem, and every doubt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from service.domain import attributes, globs
from service.domain.asking import prompts
from service.domain.errors import Problem
from service.domain.pipelines import transcript_options
from service.domain.pipelines.answer_schemas import ReadFile, answered_by, check_doubts, check_written
from service.domain.pipelines.pointers import wrong_part
from service.domain.pipelines.prompts import Draft, check_needs, check_said, draft
from service.domain.pipelines.raw import RawAsked, RawDefaults, RawPipeline, request_of
from service.domain.pipelines.shape import Shaped, Source
from service.domain.pipelines.speech import check_speech, default_options, doubts, transcript_of
from service.domain.pipelines.toml_lines import Path
from service.domain.spelling import did_you_mean, shown

LARGEST_WHOLE: Final = 2**53
"""Beyond it JSON readers lose digits."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """What came out: the prompts of each pipeline, in the file's order, and what there is to say."""

    drafts: Sequence[Sequence[Draft]]
    problems: Sequence[Problem]
    warnings: Sequence[Problem]


def review(source: Source, shaped: Shaped, read: ReadFile) -> Review:
    pipelines = shaped.file.pipelines or []
    drafts: list[list[Draft]] = []
    problems = [*shaped.problems, *_check_defaults(shaped, source)]
    warnings = _unknown_options(default_options(shaped), ("defaults",), source)
    if not pipelines and not _inside(shaped.dropped, ("pipelines",)):
        problems.append(source.problem((), "there is no pipeline", "write one below `[[pipelines]]`"))
    names = [each.name for each in pipelines]
    for at, raw in enumerate(pipelines):
        path: Path = ("pipelines", at)
        if raw.name is not None and raw.name in names[:at]:
            what = f"there is a pipeline {shown(raw.name)} already"
            problems.append(source.problem((*path, "name"), what, "give one of them another name"))
        drafts.append([])
        for number, each in enumerate(raw.prompts or []):
            drawn, told = draft(each, (*path, "prompts", number), source, shaped.dropped, read)
            drafts[at].append(drawn)
            problems += told
            defaults = shaped.file.defaults or RawDefaults()
            if held := answered_by(drawn.structure, each, drawn.path, defaults):
                warnings += check_doubts(held, each, defaults, source)
        problems += _check_pipeline(raw, path, source, shaped, drafts[at])
        warnings += [*_unknown_options(raw.transcript, path, source), *doubts(raw, path, source, shaped)]
        taken = {pattern.casefold() for each in pipelines[:at] for pattern in each.match or []}
        if raw.match and (taken & {"**", "**/*"} or {each.casefold() for each in raw.match} <= taken):
            what = "every recording that it would take is taken by a pipeline above"
            warnings.append(source.problem((*path, "match"), what, "move it up, or change its patterns"))
    return Review(drafts=drafts, problems=problems, warnings=warnings)


def _check_pipeline(
    raw: RawPipeline, path: Path, source: Source, shaped: Shaped, drafts: Sequence[Draft]
) -> Iterator[Problem]:
    if raw.name is None and not _inside(shaped.dropped, (*path, "name")):
        yield source.problem(path, "the pipeline has no name", 'write `name = "support-calls"`')
    if raw.match is None and not _inside(shaped.dropped, (*path, "match")):
        cure = 'write `match = ["calls/**/*.mp3"]` (or `[]` for `submit --pipeline` alone)'
        yield source.problem(path, "nothing says which recordings it takes", cure)
    for pattern in raw.match or []:
        try:
            globs.parse(pattern)
        except globs.BadGlob as error:
            yield source.problem((*path, "match"), f"in {shown(pattern)}, {error.what}", error.cure, pattern)
    yield from _check_transcript(raw.transcript, (*path, "transcript"), source)
    yield from check_speech(raw.speech, (*path, "speech"), source)
    yield from _check_prompts(raw, source, shaped, drafts)
    yield from _check_attributes(raw, path, source, shaped, drafts)
    if raw.monthly_limit is not None and not raw.monthly_limit.model_fields_set:
        place: Path = (*path, "monthly_limit")
        if not any(spoilt[: len(place)] == place for spoilt in shaped.dropped):
            yield source.problem(place, "the limit names nothing", "write it like `monthly_limit = { dollars = 50.0 }`")


def _check_prompts(raw: RawPipeline, source: Source, shaped: Shaped, drafts: Sequence[Draft]) -> Iterator[Problem]:
    utterances = transcript_options.tells_turns_apart(transcript_of(raw, shaped))
    defaults = shaped.file.defaults
    needed: dict[str, frozenset[str]] = {}
    for each in drafts:
        name = each.raw.name
        if name is not None and name in needed:
            what = f"there is a prompt {shown(name)} in this pipeline already"
            yield source.problem((*each.path, "name"), what, "give one of them another name")
        elif name is not None:
            needed[name] = each.needs()
        if each.raw.model is None and not (defaults and defaults.model) and not _spoilt(shaped, each.path, "model"):
            cure = 'write `model = "claude-sonnet-4-6"` here or below `[defaults]`'
            yield source.problem(each.path, "the prompt has no model", cure)
        yield from _check_asked(each.raw, each.path, source, each.structure.schema if each.structure else None)
        yield from check_said(each, source, utterances=utterances)
    unread = any((*each.path, "name") in shaped.dropped for each in drafts)
    if not unread:
        yield from check_needs(drafts, source, needed)
    if around := prompts.cycle({name: names & needed.keys() for name, names in needed.items()}):
        at = next(each.path for each in drafts if each.raw.name == around[0])
        what = f"the prompts wait for each other: {' → '.join(around)}"
        yield source.problem(at, what, "let one of them do without the other's answer")


def _check_defaults(shaped: Shaped, source: Source) -> Iterator[Problem]:
    yield from _check_asked(shaped.file.defaults, ("defaults",), source)
    yield from _check_transcript(default_options(shaped), ("defaults", "transcript"), source)
    yield from check_speech(
        shaped.file.defaults.speech if shaped.file.defaults else None, ("defaults", "speech"), source
    )


def _check_asked(raw: RawAsked | None, path: Path, source: Source, schema: JsonValue = None) -> Iterator[Problem]:
    if raw is None:
        return
    if any(each.model is None for each in raw.fallbacks or []):
        cure = 'write it like `fallbacks = ["gemini-2.5-flash"]` or `[{ model = "…", max_tokens = 500 }]`'
        yield source.problem((*path, "fallbacks"), "a fallback names no model", cure)
    yield from check_written(raw, path, source)
    for key, value in (request_of(raw) | ({"schema": schema} if schema else {})).items():
        if not _sendable(value):
            yield source.problem((*path, key), f"`{key}` holds a number that JSON cannot carry", "write a smaller one")


def _check_transcript(options: Mapping[str, JsonValue] | None, path: Path, source: Source) -> Iterator[Problem]:
    for name, value in (options or {}).items():
        if transcript_options.ours(name):
            what = f"`{name}` is set by the service for each recording"
            yield source.problem((*path, name), what, "take it out; see AFTERWORD_PUBLIC_URL for callbacks")
        elif not _sendable(value):
            what = f"{shown(name)} holds a number that JSON cannot carry"
            yield source.problem((*path, name), what, "write a smaller one")


def _check_attributes(
    raw: RawPipeline, path: Path, source: Source, shaped: Shaped, drafts: Sequence[Draft]
) -> Iterator[Problem]:
    pointers = raw.attributes or {}
    if len(pointers) > attributes.MOST:
        what = (
            f"there are {len(pointers)} attributes, and an event carries at most {attributes.MOST} of a pipeline's own"
        )
        yield source.problem((*path, "attributes"), what, "take out the ones that nobody filters by")
    names = {each.raw.name: each for each in drafts if each.raw.name}
    spoilt = {(*each.path, "name") for each in drafts} | {(*path, "prompts")}
    whole = not spoilt & shaped.dropped
    for name, pointer in pointers.items():
        place = (*path, "attributes", name)
        for wrong in (attributes.wrong_name(name), attributes.wrong_pointer(pointer)):
            if wrong:
                yield source.problem(place, *wrong)
        answer = attributes.answer_of(pointer)
        if answer is not None and answer not in names and whole:
            near = did_you_mean(answer, names)
            cure = f"did you mean `answers.{near}`?" if near else "name a prompt of this pipeline"
            yield source.problem(place, f"{shown(pointer)} points at no answer of this pipeline", cure)
        elif answer in names and not names[answer].broken:
            wrong = _wrong_part(names[answer], attributes.parts_of(pointer), shaped.file.defaults or RawDefaults())
            if wrong:
                yield source.problem(place, *wrong)


def _wrong_part(each: Draft, parts: Sequence[str], defaults: RawDefaults) -> tuple[str, str] | None:
    name, held = each.raw.name or "", answered_by(each.structure, each.raw, each.path, defaults)
    if held is not None:
        return wrong_part(name, parts, held.schema)
    if parts and each.raw.response_format is None and defaults.response_format is None:
        what = f"the answer to {shown(name)} is text without parts, for want of a `schema`"
        return what, f'give the prompt a `schema`, or point at the whole answer, "answers.{name}"'
    return None


def _unknown_options(options: Mapping[str, JsonValue] | None, path: Path, source: Source) -> list[Problem]:
    warnings = []
    for name in (options or {}).keys() - transcript_options.KNOWN:
        if not transcript_options.ours(name):
            near = did_you_mean(name, transcript_options.KNOWN)
            cure = f"did you mean `{near}`?" if near else "it is sent as it is; take it out if that was not meant"
            what = f"AssemblyAI documents no {shown(name)}"
            warnings.append(source.problem((*path, "transcript", name), what, cure))
    return warnings


def _spoilt(shaped: Shaped, path: Path, key: str) -> bool:
    return _inside(shaped.dropped, (*path, key)) or _inside(shaped.dropped, ("defaults", key))


def _inside(dropped: frozenset[Path], path: Path) -> bool:
    """Whether it, or something that holds it, could not be read and is told already."""
    return any(path[:length] in dropped for length in range(1, len(path) + 1))


def _sendable(value: Any) -> bool:
    match value:
        case dict():
            return all(_sendable(each) for each in value.values())
        case list():
            return all(_sendable(each) for each in value)
        case bool():
            return True
        case int():
            return abs(value) <= LARGEST_WHOLE
        case float():
            return abs(value) < float("inf")
        case _:
            return True
