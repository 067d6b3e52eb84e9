"""Reading the pipelines file: all of it is right, or it is refused with every problem at once."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from service.domain.asking.combining import groups
from service.domain.errors import Problem, Refused
from service.domain.pipeline import Outputs, Pipeline, Pipelines, Prompt, Speech
from service.domain.pipelines import transcript_options
from service.domain.pipelines.answer_schemas import response_format
from service.domain.pipelines.check import review
from service.domain.pipelines.prompts import Draft
from service.domain.pipelines.raw import RawDefaults, RawOutputs, RawPipeline, request_of
from service.domain.pipelines.shape import Shaped, Source, shape
from service.domain.pipelines.speech import speech_of, transcript_of
from service.domain.pipelines.toml_lines import scan
from service.domain.pipelines.whereabouts import Whereabouts
from service.domain.spelling import shown
from service.domain.use.limits import MonthlyLimit

LARGEST: Final = 1024 * 1024
"""Bytes, of the file and of each prompt or schema file."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The pipelines, where they are written, and what is worth a look although nothing is wrong."""

    pipelines: Pipelines
    whereabouts: Whereabouts
    warnings: tuple[Problem, ...] = ()


class Place(Protocol):
    """Where a pipelines file lies, with its prompt and schema files beside it."""

    @property
    def name(self) -> str:
        """The file, as problems name it."""
        ...

    def text(self) -> str | Problem:
        """What the file says, or why it cannot be read."""
        ...

    def beside(self, name: str) -> str | Problem:
        """What a prompt or schema file says, or why not (the problem's place is not used). Nothing outside is read."""
        ...


def load(path: Path) -> Loaded:
    """The pipelines of a file on this machine. Raises Refused as `load_from`."""
    return load_from(OnDisk(path))


def load_from(place: Place) -> Loaded:
    """The pipelines of a file, defaults merged in prompt and schema files (beside it) read.

    Raises Refused with every problem: each place is the file's name with the line, then the table and key.
    """
    source = _parsed(place)
    shaped = shape(source)
    found = review(source, shaped, place.beside)
    if found.problems:
        raise Refused(sorted(found.problems, key=lambda problem: _line(problem, source)))
    raws = shaped.file.pipelines or []
    pipelines = tuple(_pipeline(raw, shaped, drafts) for raw, drafts in zip(raws, found.drafts, strict=True))
    doubts = dict.fromkeys([*found.warnings, *_combined_in_vain(pipelines, source)])
    warnings = tuple(sorted(doubts, key=lambda problem: _line(problem, source)))
    whereabouts = Whereabouts(source=source)
    return Loaded(pipelines=Pipelines(pipelines=pipelines), whereabouts=whereabouts, warnings=warnings)


def _combined_in_vain(pipelines: Sequence[Pipeline], source: Source) -> Iterator[Problem]:
    for at, pipeline in enumerate(pipelines):
        if pipeline.combine and not groups(pipeline.prompts, None):
            what = "no two prompts can share a request: those that do need the same model, parameters and speech"
            yield source.problem(("pipelines", at, "combine"), what, "make them alike, or take `combine` out")


def read_text(name: str, content: bytes) -> str | Problem:
    """The text of the file or of one beside it; `content` need be no longer than LARGEST and one byte."""
    if len(content) > LARGEST:
        what = f"the file is larger than {LARGEST // 1024} KiB"
        return Problem(place=name, what=what, cure="move long prompts into prompt files")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Problem(place=name, what=f"byte {error.start + 1} is not UTF-8", cure="save the file as UTF-8")


def outside(name: str) -> Problem:
    """A prompt or schema file that leads out of the place of the pipelines file."""
    what = f"{shown(name)} lies outside the folder of the pipelines file"
    return Problem(place=name, what=what, cure="move it beside the pipelines file or into a folder there")


class OnDisk:
    """Place of a file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.name

    def text(self) -> str | Problem:
        return _text(self._path)

    def beside(self, name: str) -> str | Problem:
        """No link leads out of the folder either."""
        folder = self._path.parent
        try:
            inside = (folder / name).resolve().is_relative_to(folder.resolve())
        except (OSError, ValueError, RuntimeError):
            inside = False
        if not inside:
            return outside(name)
        text = _text(folder / name)
        if isinstance(text, str):
            return text
        cure = "name a UTF-8 text file beside the pipelines file"
        return Problem(place=name, what=f"{shown(name)}: {text.what}", cure=cure)


def _line(problem: Problem, source: Source) -> int:
    return int(problem.place.removeprefix(source.name + ":").split(" ", 1)[0])


def _parsed(place: Place) -> Source:
    cure = "mend it there (`afterword init` writes one to start from)"
    text = place.text()
    if isinstance(text, Problem):
        raise Refused([text])
    try:
        document: dict[str, Any] = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise Refused([Problem(place=place.name, what="it is nested too deeply", cure=cure)]) from None
    except ValueError as error:
        said = re.sub(r" \(at (?:line \d+, column \d+|end of document)\)$", "", str(error))
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        what = f"it is not TOML: {said[:1].lower()}{said[1:]}"
        raise Refused([Problem(place=f"{place.name}:{line}", what=what, cure=cure)]) from None
    return Source(name=place.name, lines=scan(text), document=document)


def _text(path: Path) -> str | Problem:
    what, cure = "", "name a readable file in AFTERWORD_PIPELINES"
    try:
        with path.open("rb") as opened:
            return read_text(path.name, opened.read(LARGEST + 1))
    except FileNotFoundError:
        what, cure = "there is no such file", "make one with `afterword init`, or name it in AFTERWORD_PIPELINES"
    except (OSError, ValueError) as error:
        what = f"the file cannot be read ({getattr(error, 'strerror', None) or 'the path is not valid'})"
    return Problem(place=path.name or str(path), what=what, cure=cure)


def _pipeline(raw: RawPipeline, shaped: Shaped, drafts: Sequence[Draft]) -> Pipeline:
    defaults = shaped.file.defaults or RawDefaults()
    outputs = defaults.outputs or RawOutputs()
    own = (raw.outputs or RawOutputs()).model_dump(exclude_none=True)
    return Pipeline(
        name=raw.name or "",
        match=tuple(raw.match or ()),
        transcript=transcript_options.complete(transcript_of(raw, shaped)),
        prompts=tuple(_prompt(each, defaults) for each in drafts),
        attributes=raw.attributes or {},
        outputs=_outputs({**outputs.model_dump(exclude_none=True), **own}),
        combine=bool(raw.combine),
        monthly_limit=MonthlyLimit(**raw.monthly_limit.model_dump()) if raw.monthly_limit else None,
        speech=Speech(**speech_of(raw, shaped)),
    )


def _outputs(written: dict[str, Any]) -> Outputs:
    return Outputs(
        captions=tuple(dict.fromkeys(written.get("captions", ()))), keep_transcript=written.get("keep_transcript", True)
    )


def _prompt(each: Draft, defaults: RawDefaults) -> Prompt:
    request = {**request_of(defaults), **request_of(each.raw)}
    if each.structure is not None:
        request["response_format"] = response_format(each.raw.name or "", each.structure.schema)
    required = next((value for value in (each.raw.required, defaults.required) if value is not None), True)
    return Prompt(
        name=each.raw.name or "",
        messages=tuple(said.message for said in each.said),
        required=required,
        # An empty list is how a prompt takes back the default fallbacks.
        request={key: value for key, value in request.items() if (key, value) != ("fallbacks", [])},
    )
