"""`afterword serve`: the service."""

import asyncio
import os
import sys

import typer
from uvicorn import Config

from service import telemetry
from service.cli.complaints import warn
from service.cli.configuration import DOTENV
from service.cli.screen import note
from service.domain import pipelines_file
from service.domain.errors import Problem, Refused
from service.serve import Addresses
from service.serve import serve as run
from service.settings.groups import PipelinesPlace
from service.settings.load import GROUPS, Settings


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve() -> None:
    """Run the service: receiver, intake, workers and sweeper in one process, until SIGTERM or Ctrl-C.

    Settings come from the environment and from .env in this folder. The log is on stderr.
    """
    settings, loaded = _configured()
    telemetry.configure(settings.deployment.log_format, settings.deployment.log_level, sys.stderr)
    warn([*settings.warnings, *loaded.warnings])
    with asyncio.Runner(loop_factory=Config("").get_loop_factory()) as runner:
        runner.run(run(settings, loaded.pipelines, _started if sys.stderr.isatty() else lambda _: None))


def _configured() -> tuple[Settings, pipelines_file.Loaded]:
    """Raises Refused with the problems of both, settings and pipelines file."""
    problems: list[Problem] = []
    settings, loaded = None, None
    try:
        settings = Settings.load(os.environ, DOTENV, GROUPS)
    except Refused as refused:
        problems += refused.problems
    try:
        place = settings or Settings.load(os.environ, DOTENV, [PipelinesPlace])
        loaded = pipelines_file.load(place.pipelines.path)
    except Refused as refused:
        problems += [each for each in refused.problems if each not in problems]
    if settings is None or loaded is None:
        raise Refused(problems)
    return settings, loaded


def _started(addresses: Addresses) -> None:
    """On a terminal the log is for people, and so is this."""
    note(f"callbacks and health: {addresses.public}    metrics and jobs: {addresses.ops}    stop: Ctrl-C")
