"""The settings: frozen records, read once from a mapping that is passed in, complete or refused.

They come in groups, and a command loads the groups that it uses: what it does not use can neither be missing nor
be wrong. Durations are in seconds, paths are absolute, and secrets print as stars.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.domain.errors import Problem, Refused
from service.settings import values
from service.settings.fields import Group, Variable
from service.settings.groups import (
    Allowance,
    Callbacks,
    Deployment,
    DropsPlace,
    EventsPlace,
    JobStore,
    Listener,
    Ops,
    PipelinesPlace,
    ResultsPlace,
    Vendor,
    Work,
)
from service.settings.places import Folder, OnDisk, Sqlite
from service.settings.source import Texts

GROUPS: Final[tuple[type[Group], ...]] = (
    Vendor,
    Allowance,
    Deployment,
    Callbacks,
    PipelinesPlace,
    DropsPlace,
    JobStore,
    ResultsPlace,
    EventsPlace,
    Listener,
    Ops,
    Work,
)
"""All that `serve` needs."""

VARIABLES: Final[tuple[Variable, ...]] = tuple(variable for group in GROUPS for variable in group.variables())
"""Every variable, in the order of the documentation."""

G = TypeVar("G", bound=Group)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The groups that were asked for; asking for another is a mistake in the program (KeyError).

    `warnings` are for people to read and stop nothing.
    """

    groups: Mapping[type[Group], Group]
    warnings: tuple[Problem, ...] = ()

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        dotenv: Path | None = None,
        needs: Collection[type[Group]] = GROUPS,
        *,
        base: Path | None = None,
    ) -> "Settings":
        """The settings that `needs` names (Deployment always); the environment wins over `dotenv`.

        Relative paths are relative to `base`, by default the working directory. A missing `dotenv` file is an
        empty one. Raises Refused with every problem at once.
        """
        texts = Texts(environ, dotenv)
        base = base or Path.cwd()
        groups: dict[type[Group], Group] = {}
        problems: list[Problem] = []
        warnings: list[Problem] = []
        for kind in [each for each in GROUPS if each in needs or each is Deployment]:
            found = {each.name: text for each in kind.variables() if (text := texts.get(each.name, secret=each.secret))}
            problems += [each for each in kind.incomplete(found) if not _told(each.place, texts.problems)]
            try:
                group = kind.model_validate(found, context={"base": base})
            except ValidationError as error:
                told = [_problem(kind, each) for each in error.errors(include_url=False)]
                problems += [each for each in told if not _told(each.place, texts.problems)]
            else:
                groups[kind] = group
                warnings += group.doubtful()
        settings = cls(groups=groups, warnings=(*texts.warnings, *texts.unknown(_SECRECY), *warnings))
        problems = [*texts.problems, *problems, *settings.contradictions()]
        if problems:
            raise Refused(problems)
        return settings

    def group(self, kind: type[G]) -> G:
        group = self.groups[kind]
        assert isinstance(group, kind)
        return group

    @property
    def deployment(self) -> Deployment:
        return self.group(Deployment)

    @property
    def vendor(self) -> Vendor:
        return self.group(Vendor)

    @property
    def allowance(self) -> Allowance:
        return self.group(Allowance)

    @property
    def callbacks(self) -> Callbacks:
        return self.group(Callbacks)

    @property
    def pipelines(self) -> PipelinesPlace:
        return self.group(PipelinesPlace)

    @property
    def drops(self) -> DropsPlace:
        return self.group(DropsPlace)

    @property
    def jobs(self) -> JobStore:
        return self.group(JobStore)

    @property
    def results(self) -> ResultsPlace:
        return self.group(ResultsPlace)

    @property
    def events(self) -> EventsPlace:
        return self.group(EventsPlace)

    @property
    def listener(self) -> Listener:
        return self.group(Listener)

    @property
    def ops(self) -> Ops:
        return self.group(Ops)

    @property
    def work(self) -> Work:
        return self.group(Work)

    def contradictions(self) -> Sequence[Problem]:
        """What single settings cannot know: two places or ports that are one."""
        problems = []
        if {DropsPlace, ResultsPlace} <= self.groups.keys() and self.drops.place == self.results.place:
            what = "it is the folder where recordings arrive (AFTERWORD_DROPS)"
            problems.append(Problem(place="AFTERWORD_RESULTS", what=what, cure="name another folder"))
        if {Listener, Ops} <= self.groups.keys() and self.listener.port == self.ops.port != 0:
            what = f"both listeners have port {self.ops.port}"
            problems.append(Problem(place="AFTERWORD_OPS_PORT", what=what, cure="give one of them another port"))
        return problems

    @property
    def inbox(self) -> Path | None:
        """The folder where recordings arrive, if it is one."""
        drops = self.drops.place
        return drops.path if isinstance(drops, Folder) else None

    def own_places(self, folder: Path) -> Sequence[Path]:
        """The files and folders of ours that lie inside a folder of recordings: nothing in them is a recording.

        Where that lies inside the results folder, nothing is named here: see `engulfs_drops`.
        """
        ours: list[Path] = []
        for kind in (ResultsPlace, EventsPlace, PipelinesPlace):
            place = getattr(self.groups.get(kind), "place", None)
            ours += [place.path] if isinstance(place, OnDisk) else []
        if JobStore in self.groups and isinstance(self.jobs.place, Sqlite):
            database = self.jobs.place.path
            ours += [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]
        return [each for each in ours if each != folder and each.is_relative_to(folder)]

    def engulfs_drops(self, pipeline: str) -> bool:
        """Whether this pipeline's results, `{results}/{pipeline}/…`, would fall among the recordings."""
        inbox, results = self.inbox, self.results.place
        return inbox is not None and isinstance(results, Folder) and inbox.is_relative_to(results.path / pipeline)


_SECRECY: Final[Mapping[str, bool]] = MappingProxyType({each.name: each.secret for each in VARIABLES})


def _told(place: str, problems: Sequence[Problem]) -> bool:
    return any(each.place.removesuffix("_FILE") == place for each in problems)


def _problem(kind: type[Group], error: ErrorDetails) -> Problem:
    """Never shows the input: it may be a secret."""
    place = str(error["loc"][0])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, values.Bad):
        return Problem(place=place, what=cause.what, cure=cause.cure)
    cure = next((each.cure for each in kind.variables() if each.name == place), "see the settings table")
    what = "it is not set" if error["type"] == "missing" else "it cannot be read"
    return Problem(place=place, what=what, cure=cure)
