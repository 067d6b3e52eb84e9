"""The recordings of a demonstration: what is dropped, which job it becomes and what is asked of it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from shutil import copyfile
from typing import Final

from service.cli.complaints import refusal
from service.domain.identity import job_id
from service.domain.job import JobId, Kind, Recording
from service.domain.pipeline import Pipelines
from service.simulator import recogniser
from service.simulator.hearing import SCRIPT_HEADER
from service.simulator.options import Options
from service.simulator.scripts import sniff_duration

NAME: Final = "demo"
"""The deployment's name, which job ids derive from."""

HEAD: Final = 65_536
"""Bytes in which a recording says how long it is."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A recording and its job. `seconds` it lasts, None if it does not say; `audible` to the stand-in without ears."""

    source: Path
    key: str
    size: int
    digest: str
    seconds: float | None
    audible: bool
    own: bool

    @property
    def job_id(self) -> JobId:
        return job_id(NAME, _recording(self))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    def prompts(self, pipelines: Pipelines) -> Sequence[str]:
        """The names of the prompts that will be asked; none if no pipeline takes it."""
        pipeline = pipelines.match(self.key, self.source.as_uri())
        return [prompt.name for prompt in pipeline.prompts] if pipeline else []

    def drop(self, inbox: Path, beside: Path) -> None:
        """Put it into the inbox, whole at once; `beside` is a folder on the same disk."""
        place = inbox / self.key
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = beside / f".{self.digest}"
        copyfile(self.source, copy)
        copy.replace(place)


def bundled() -> Sequence[Sample]:
    """The three that come with the stand-in, in the order of their scripts."""
    folder = Options().recordings
    listed = json.loads((folder / "scripts.json").read_text(encoding="utf-8"))["recordings"]
    return [_bundled(folder / entry["file"], entry["file"], float(entry["duration"])) for entry in listed]


def own(path: Path) -> Sample:
    """A recording of the viewer's own. Raises Refused for what cannot be one."""
    try:
        if not path.is_file():
            raise refusal("--recording", _missing(path), "name an audio file")
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            digest = file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise refusal(
            "--recording", f"{path} cannot be read ({error.strerror})", "name a file that may be read"
        ) from None
    if not size:
        raise refusal("--recording", f"{path} is empty", "name an audio file with sound in it")
    return Sample(
        source=path.resolve(),
        key=_key(path),
        size=size,
        digest=digest,
        seconds=sniff_duration(head),
        audible=head.startswith(SCRIPT_HEADER),
        own=True,
    )


def heard_by_standin(sample: Sample) -> None:
    """Raises Refused if the stand-in has no ears for the recording."""
    if sample.audible or recogniser.available():
        if sample.size > recogniser.MOST_BYTES:
            what = f"{sample.source} is larger than the {recogniser.MOST_BYTES >> 20} MiB that the stand-in hears"
            raise refusal("--recording", what, "cut it, or transcribe it with your own key (--live)")
        return
    what = f"the stand-in knows only its own recordings by heart, and hears {sample.name} only with the recogniser"
    cure = (
        f"`make demo RECORDING={sample.source}` in a clone installs it (200 MB to download), "
        "elsewhere `pip install 'afterword[recogniser]'`; or use your own key (--live)"
    )
    raise refusal("--recording", what, cure)


def _bundled(path: Path, key: str, seconds: float) -> Sample:
    body = path.open("rb")
    with body:
        digest = file_digest(body, "sha256").hexdigest()
        size = body.tell()
    return Sample(source=path, key=key, size=size, digest=digest, seconds=seconds, audible=True, own=False)


def _key(path: Path) -> str:
    """Its own name, made one that no watched folder takes for hidden or unfinished, and that is UTF-8."""
    name = os.fsencode(path.name).decode("utf-8", "replace").lstrip(".~$")
    return name if path.suffix and name else f"recording-{name or 'of-yours'}.audio"


def _missing(path: Path) -> str:
    return f"{path} is not a file" if path.exists() else f"there is no file {path}"


def _recording(sample: Sample) -> Recording:
    """Only what identifies it counts."""
    return Recording(
        kind=Kind.FILE,
        uri="file:///",
        key=sample.key,
        name=sample.name,
        location="/",
        size=sample.size,
        digest=sample.digest,
        dropped_at="",
    )
