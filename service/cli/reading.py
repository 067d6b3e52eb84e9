"""Settings and pipelines file with everything that is wrong with either, at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.cli.configuration import DOTENV, read_pipelines
from service.domain.errors import Problem, Refused
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import Loaded
from service.settings.fields import Group
from service.settings.groups import Deployment, DropsPlace, PipelinesPlace, ResultsPlace
from service.settings.load import GROUPS, Settings


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What of settings and pipelines file is right, and everything that is not. `loaded` None: unreadable."""

    settings: Settings
    loaded: Loaded | None
    problems: Sequence[Problem]
    warnings: Sequence[Problem]

    @property
    def pipelines(self) -> Pipelines | None:
        return self.loaded.pipelines if self.loaded else None


def read(environ: Mapping[str, str]) -> Reading:
    """Everything that is wrong at once, the pipelines file even when the settings are bad."""
    problems: list[Problem] = []
    try:
        settings = Settings.load(environ, DOTENV, GROUPS)
    except Refused as refused:
        problems += refused.problems
        settings = _what_is_right(environ)
    warnings = list(settings.warnings)
    loaded = None
    if PipelinesPlace in settings.groups:
        try:
            loaded = read_pipelines(settings)
        except Refused as refused:
            problems += refused.problems
        else:
            warnings += loaded.warnings
            problems += _engulfed(settings, loaded.pipelines)
    return Reading(settings=settings, loaded=loaded, problems=problems, warnings=warnings)


def _what_is_right(environ: Mapping[str, str]) -> Settings:
    """The groups that can be had one by one; Deployment, which comes with each, must not spoil the others."""
    deployment = dict.fromkeys([each.name for each in Deployment.variables()], "")
    groups: dict[type[Group], Group] = {}
    warnings: dict[Problem, None] = {}
    for kind in GROUPS:
        try:
            alone = Settings.load(environ if kind is Deployment else {**environ, **deployment}, DOTENV, [kind])
        except Refused:
            continue
        groups[kind] = alone.groups[kind]
        warnings |= dict.fromkeys(alone.warnings)
    return Settings(groups=groups, warnings=tuple(warnings))


def _engulfed(settings: Settings, pipelines: Pipelines) -> Sequence[Problem]:
    if not {DropsPlace, ResultsPlace} <= settings.groups.keys():
        return []
    return [
        Problem(
            place="AFTERWORD_RESULTS",
            what=f"the results of pipeline {each.name} would fall among the recordings in AFTERWORD_DROPS",
            cure="name a results folder that the recordings do not lie in, or another pipeline name",
        )
        for each in pipelines.pipelines
        if settings.engulfs_drops(each.name)
    ]
