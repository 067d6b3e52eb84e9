"""Reading the pipelines file: all of it is right, or it is refused with every problem at once."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.domain.errors import Problem, Refused
from service.domain.pipeline import Outputs, Pipeline, Pipelines, Prompt
from service.domain.pipelines import transcript_options
from service.domain.pipelines.check import review, transcript_of
from service.domain.pipelines.prompts import Draft
from service.domain.pipelines.raw import RawDefaults, RawOutputs, RawPipeline, request_of
from service.domain.pipelines.shape import Shaped, Source, shape
from service.domain.pipelines.toml_lines import scan
from service.domain.spelling import shown

LARGEST: Final = 1024 * 1024
"""Bytes, of the file and of each prompt file."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The pipelines, and what is worth a look although nothing is wrong."""

    pipelines: Pipelines
    warnings: tuple[Problem, ...] = ()


def load(path: Path) -> Loaded:
    """The pipelines of a file, defaults merged in and prompt files (beside it) read.

    Raises Refused with every problem: each place is the file's name with the line, then the table and key.
    """
    source = _parsed(path)
    shaped = shape(source)
    found = review(source, shaped, lambda name: _prompt_file(path.parent, name))
    if found.problems:
        raise Refused(sorted(found.problems, key=lambda problem: _line(problem, source)))
    raws = shaped.file.pipelines or []
    pipelines = tuple(_pipeline(raw, shaped, drafts) for raw, drafts in zip(raws, found.drafts, strict=True))
    warnings = tuple(sorted(found.warnings, key=lambda problem: _line(problem, source)))
    return Loaded(pipelines=Pipelines(pipelines=pipelines), warnings=warnings)


def _line(problem: Problem, source: Source) -> int:
    return int(problem.place.removeprefix(source.name + ":").split(" ", 1)[0])


def _parsed(path: Path) -> Source:
    cure = "mend it there (`afterword init` writes one to start from)"
    text = _text(path)
    if isinstance(text, Problem):
        raise Refused([text])
    try:
        document: dict[str, Any] = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise Refused([Problem(place=path.name, what="it is nested too deeply", cure=cure)]) from None
    except ValueError as error:
        said = re.sub(r" \(at (?:line \d+, column \d+|end of document)\)$", "", str(error))
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        what = f"it is not TOML: {said[:1].lower()}{said[1:]}"
        raise Refused([Problem(place=f"{path.name}:{line}", what=what, cure=cure)]) from None
    return Source(name=path.name, lines=scan(text), document=document)


def _text(path: Path) -> str | Problem:
    what, cure = "", "name a readable file in AFTERWORD_PIPELINES"
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) <= LARGEST:
            return content.decode("utf-8-sig")
        what, cure = f"the file is larger than {LARGEST // 1024} KiB", "move long prompts into prompt files"
    except FileNotFoundError:
        what, cure = "there is no such file", "make one with `afterword init`, or name it in AFTERWORD_PIPELINES"
    except UnicodeDecodeError as error:
        what, cure = f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8"
    except (OSError, ValueError) as error:
        what = f"the file cannot be read ({getattr(error, 'strerror', None) or 'the path is not valid'})"
    return Problem(place=path.name or str(path), what=what, cure=cure)


def _prompt_file(folder: Path, name: str) -> str | Problem:
    try:
        whole = (folder / name).resolve()
        inside = whole.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        what = f"{shown(name)} lies outside the folder of the pipelines file"
        return Problem(place=name, what=what, cure="move it beside the pipelines file or into a folder there")
    text = _text(folder / name)
    if isinstance(text, str):
        return text
    return Problem(
        place=name, what=f"{shown(name)}: {text.what}", cure="name a UTF-8 text file beside the pipelines file"
    )


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
    )


def _outputs(written: dict[str, Any]) -> Outputs:
    return Outputs(
        captions=tuple(dict.fromkeys(written.get("captions", ()))), keep_transcript=written.get("keep_transcript", True)
    )


def _prompt(each: Draft, defaults: RawDefaults) -> Prompt:
    request = {**request_of(defaults), **request_of(each.raw)}
    required = next((value for value in (each.raw.required, defaults.required) if value is not None), True)
    return Prompt(
        name=each.raw.name or "",
        messages=tuple(said.message for said in each.said),
        required=required,
        # An empty list is how a prompt takes back the default fallbacks.
        request={key: value for key, value in request.items() if (key, value) != ("fallbacks", [])},
    )
