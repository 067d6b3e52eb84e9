"""What a command is configured with: the environment, `.env` in the working directory, and the pipelines file."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Final

from service import telemetry, wiring
from service.cli.aws_environment import lend
from service.cli.complaints import refusal, warn
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import Loaded
from service.domain.tally import NoTally
from service.settings.fields import Group
from service.settings.load import GROUPS, Settings
from service.settings.places import Sqlite
from service.stages.context import Context
from service.wiring import Amazon, amazon, opened_store, wired

DOTENV: Final = Path(".env")

UNUSED: Final = {"ASSEMBLYAI_API_KEY": "never-sent"}
"""Stands for the settings that a command does not use."""


def settings_for(*needs: type[Group]) -> Settings:
    """The settings that the command uses; what is doubtful is told. Raises Refused."""
    lend(os.environ, DOTENV)
    settings = Settings.load(os.environ, DOTENV, needs)
    warn(settings.warnings)
    quiet_log(settings)
    return settings


def pipelines_for(settings: Settings) -> Pipelines:
    """The pipelines of the file that the settings name; what is doubtful is told. Raises Refused."""
    loaded = read_pipelines(settings)
    warn(loaded.warnings)
    return loaded.pipelines


def read_pipelines(settings: Settings) -> Loaded:
    """The pipelines file, wherever it lies. Raises Refused."""
    return wiring.read_pipelines(settings)


def quiet_log(settings: Settings) -> None:
    """Only trouble on stderr: a command tells in its own words what it does. All of it at level `debug`."""
    level = "debug" if settings.deployment.log_level == "debug" else "warning"
    telemetry.configure(settings.deployment.log_format, level, sys.stderr)


def store_stands(settings: Settings) -> bool:
    """Whether there is a job store already: opening an embedded one would make it."""
    place = settings.jobs.place
    return not isinstance(place, Sqlite) or place.path.exists()


def standing_store(settings: Settings) -> None:
    """Raises Refused where there is no job store yet, so that looking does not make one in the wrong folder."""
    if isinstance(settings.jobs.place, Sqlite) and not (path := settings.jobs.place.path).exists():
        cure = "go to the service's folder or name its store there; the first `afterword serve` or `submit` makes one"
        raise refusal("AFTERWORD_JOBS", f"there is no job store at {path}", cure)


@asynccontextmanager
async def context_for(settings: Settings, pipelines: Pipelines, aws: Amazon | None = None) -> AsyncIterator[Context]:
    """What stages need, over the job store; of the groups that `settings` lacks only the defaults are there.

    So no command asks for a key that it will not send. `aws` is the session of a command that has one already.
    Raises StoreTrouble, Refused.
    """
    lacking = [group for group in GROUPS if group not in settings.groups]
    rest = Settings.load(UNUSED, None, lacking)
    whole = Settings(groups={**rest.groups, **settings.groups})
    with nullcontext(aws) if aws else amazon() as session:
        async with opened_store(whole, session) as store, wired(whole, pipelines, store, session, NoTally()) as context:
            yield context
