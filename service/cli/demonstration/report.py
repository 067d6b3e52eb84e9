"""What the viewer is shown at the end: answers, one event, the files, and where to go from here."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import service
from service.cli.demonstration.figures import Event, Outcomes
from service.cli.demonstration.samples import Sample
from service.cli.screen import wrapped
from service.simulator.answers import MARK

LONGEST_TEXT: Final = 64
"""Characters of a text inside the event that are shown: its beginning, or both ends of what is one word."""
LONGEST_HEARD: Final = 1000
DEEPEST: Final = 4
"""Levels of the event with a line for each of their entries; what is below stands in one line."""


def answers(samples: Sequence[Sample], found: Outcomes, *, extracts: bool) -> Iterator[str]:
    """The answers, recording by recording, the viewer's own first."""
    yield ""
    if extracts:
        yield "ANSWERS. They are the stand-in's: it understands nothing, and extracts sentences from the transcript."
    else:
        yield "ANSWERS"
    for sample in sorted(samples, key=lambda each: not each.own):
        for event in found.of(sample)[:1]:
            yield ""
            yield from _answers(sample, event)


def one_event(samples: Sequence[Sample], found: Outcomes) -> Iterator[str]:
    """The event of the first recording, texts in it shortened."""
    for event in [each for sample in samples for each in found.of(sample)][:1]:
        yield ""
        yield f"ONE EVENT of {len(found.events)}, as subscribers get it (long texts shortened here)"
        yield ""
        yield from _document(event, "", 0)


def files(folder: Path, found: Outcomes) -> Iterator[str]:
    """Where everything lies."""
    yield ""
    yield f"FILES in {folder}"
    yield ""
    told = {
        "inbox/": "the recordings that were dropped",
        "pipelines.toml": "which prompts are asked of which recordings",
        "events.jsonl": "the events, a line each",
        "afterword.db": "the job store: what has been done, so that nothing is done twice",
        "service.log": "what the service logged",
        "results/": "for each recording:",
    }
    for name, meaning in told.items():
        if not (folder / name).exists():
            continue
        yield f"  {name:<16} {meaning}"
    for event in found.events:
        result = _path(event["data"], "result")
        lying = sorted(
            path.relative_to(result.parent).as_posix() for path in result.parent.rglob("*") if path.is_file()
        )
        near = result.parent.relative_to(folder) if result.is_relative_to(folder) else result.parent
        yield f"    {near}/"
        yield from wrapped("  ".join(lying), "      ")


def next_steps(*, live: bool) -> Iterator[str]:
    """Three commands to go on with, as they can be typed where the demonstration was."""
    command = invocation()
    clone = Path(service.__file__).parent.parent
    in_clone = (clone / "Makefile").is_file() and clone == Path.cwd()
    own = "make demo RECORDING=my.wav" if in_clone else f"{command} demo --recording my.wav"
    steps = (
        (own, "the same with your own voice"),
        (f"{command} init", "your own prompts and key: writes pipelines.toml and .env"),
        (f"{command} {'serve' if live else 'demo --live'}", "for real" if live else "the same for real, with your key"),
    )
    wide = max(len(line) for line, _ in steps)
    yield ""
    yield "NEXT"
    for line, meaning in steps:
        yield f"  {line:<{wide}}   {meaning}"


def invocation() -> str:
    """How this program is called here."""
    if Path(sys.argv[0]).name == "afterword" and shutil.which("afterword"):
        return "afterword"
    python = Path(sys.executable)
    near = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return f"{near} -m service"


def _answers(sample: Sample, event: Event) -> Iterator[str]:
    data = event["data"]
    yield sample.key
    if sample.own:
        yield "  (what was heard)"
        yield from wrapped(_heard(data), "    ")
    if data.get("skipped"):
        yield f"  nothing was asked: {data['skipped']}"
    if "error" in data:
        yield from wrapped(f"failed: {data['error']['message']}", "  ")
    for name, answer in data["answers"].items():
        yield f"  {name}"
        if "value" in answer:
            shown = json.dumps(answer["value"], ensure_ascii=False, indent=2)
            yield from (f"    {line}" for line in shown.splitlines())
        else:
            content = answer["content"] if "content" in answer else f"failed: {answer['error']['message']}"
            yield from wrapped(content.removeprefix(MARK), "    ")


def _heard(data: Mapping[str, Any]) -> str:
    """The beginning of the transcript."""
    path = _path(data, "transcript_txt")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return f"{text[:LONGEST_HEARD]} ..." if len(text) > LONGEST_HEARD else text or "nothing"


def _path(data: Mapping[str, Any], name: str) -> Path:
    """Where a file of the event is on this machine."""
    return Path(unquote(urlsplit(str(data["files"].get(name, ""))).path))


def _document(value: object, lead: str, depth: int) -> Iterator[str]:
    """JSON, indented down to DEEPEST."""
    pad = "  " * (depth + 1)
    if not isinstance(value, Mapping) or depth >= DEEPEST or not value:
        yield lead + json.dumps(_shortened(value), ensure_ascii=False)
        return
    yield lead + "{"
    for position, (name, inner) in enumerate(value.items(), start=1):
        lines = list(_document(inner, f"{pad}{json.dumps(name)}: ", depth + 1))
        lines[-1] += "," if position < len(value) else ""
        yield from lines
    yield "  " * depth + "}"


def _shortened(value: object) -> object:
    match value:
        case str() if len(value) > LONGEST_TEXT and " " in value:
            return f"{value[:LONGEST_TEXT].rstrip()} ..."
        case str() if len(value) > LONGEST_TEXT:
            return f"{value[: LONGEST_TEXT // 2]}...{value[-LONGEST_TEXT // 2 :]}"
        case Mapping():
            return {name: _shortened(inner) for name, inner in value.items()}
        case list():
            return [_shortened(inner) for inner in value]
        case _:
            return value
