"""What a demonstration needs before it begins: a folder, pipelines, recordings; everything wrong is found here."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.cli.complaints import refusal, warn
from service.cli.demonstration import samples as recordings
from service.cli.demonstration.processes import bare, places
from service.cli.demonstration.samples import Sample
from service.cli.screen import note
from service.domain.errors import Refused
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import load as load_pipelines
from service.settings.groups import Vendor
from service.settings.load import Settings
from service.templates import starter

PASSED_ON = ("ASSEMBLYAI_API_KEY", "ASSEMBLYAI_API_KEY_FILE", "AFTERWORD_REGION")
"""What `--live` takes of the environment, beside the two overrides of the vendor's hosts."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be shown, and where. `environment` is the service's, but for the vendor."""

    folder: Path
    pipelines: Pipelines
    samples: Sequence[Sample]
    environment: Mapping[str, str]

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"


def plan(
    recording: Path | None, pipelines: Path | None, workdir: Path | None, environ: Mapping[str, str], *, live: bool
) -> Plan:
    """Raises Refused. Makes the folder last, when little else can be wrong."""
    chosen = _chosen(recordings.own(recording) if recording else None, live=live)
    if pipelines and not _there(pipelines):
        cure = "name a pipelines file, or make one with `afterword init`"
        raise refusal("--pipelines", f"there is no file {pipelines}", cure)
    loaded = load_pipelines(pipelines.resolve()) if pipelines else None
    if pipelines and loaded:
        warn(loaded.warnings)
        chosen = _taken(chosen, loaded.pipelines, pipelines)
    folder = _folder(workdir)
    file = pipelines.resolve() if pipelines else folder / "pipelines.toml"
    try:
        (folder / "inbox").mkdir()
        if loaded is None:
            file.write_text(starter.demo(), encoding="utf-8")
            loaded = load_pipelines(file)
    except OSError as error:
        raise _unusable(folder, error) from None
    return Plan(
        folder=folder,
        pipelines=loaded.pipelines,
        samples=chosen,
        environment=bare(environ) | places(folder, recordings.NAME) | {"AFTERWORD_PIPELINES": str(file)},
    )


def vendor(environ: Mapping[str, str]) -> dict[str, str]:
    """The viewer's own account, as the environment names it. Raises Refused."""
    passed = (*PASSED_ON, "AFTERWORD_ASSEMBLYAI_URL", "AFTERWORD_LLM_GATEWAY_URL")
    given = {name: environ[name] for name in passed if environ.get(name, "").strip()}
    Settings.load(given, None, [Vendor])
    return given


def _chosen(own: Sample | None, *, live: bool) -> Sequence[Sample]:
    """On the viewer's own account their own recording alone; else the bundled ones too, none of them twice."""
    bundled = recordings.bundled()
    if own is None:
        return bundled
    if live:
        return [own]
    others = [each for each in bundled if each.digest != own.digest]
    if len(others) == len(bundled):
        recordings.heard_by_standin(own)
    return [*others, own]


def _taken(samples: Sequence[Sample], pipelines: Pipelines, file: Path) -> Sequence[Sample]:
    """Those that a pipeline takes; the others are told. Raises Refused if that leaves nothing to show."""
    taken = [sample for sample in samples if sample.prompts(pipelines)]
    left = [sample for sample in samples if sample not in taken]
    if not taken or any(sample.own for sample in left):
        keys = ", ".join(sample.key for sample in left if sample.own or not taken)
        raise refusal("--pipelines", f"no pipeline in {file} takes {keys}", 'add a pattern such as "**/*" to a `match`')
    for sample in left:
        note(f"{sample.key} is left out: no pipeline in {file} takes it")
    return taken


def _folder(workdir: Path | None) -> Path:
    """A fresh folder, or the one that was named if there is nothing in it. Raises Refused."""
    try:
        if workdir is None:
            return Path(tempfile.mkdtemp(prefix="afterword-demo-")).resolve()
        workdir.mkdir(parents=True, exist_ok=True)
        if any(workdir.iterdir()):
            raise refusal("--workdir", f"{workdir} is not empty", "name a folder that is empty or not there yet")
    except OSError as error:
        raise _unusable(workdir or "the folder for temporary files", error) from None
    return workdir.resolve()


def _unusable(folder: Path | str, error: OSError) -> Refused:
    return refusal("--workdir", f"{folder} cannot be used ({error.strerror})", "name another folder")


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
