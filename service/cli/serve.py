"""`afterword serve`: the service."""

import asyncio
import os
import sys

import structlog
import typer
from uvicorn import Config

from service import telemetry
from service.cli.aws_environment import lend
from service.cli.configuration import DOTENV
from service.cli.reading import read
from service.cli.screen import note
from service.domain import happened
from service.domain.errors import Refused
from service.serve import Addresses
from service.serve import serve as run


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve() -> None:
    """Run the service: receiver, intake, workers and sweeper in one process, until SIGTERM or Ctrl-C.

    Settings come from the environment and from .env in this folder. The log is on stderr.
    """
    lend(os.environ, DOTENV)
    reading = read(os.environ)
    if reading.problems or reading.loaded is None:
        raise Refused(reading.problems)
    settings = reading.settings
    telemetry.configure(settings.deployment.log_format, settings.deployment.log_level, sys.stderr)
    for each in reading.warnings:
        structlog.get_logger().warning(happened.SETTING_DOUBTED, place=each.place, what=each.what, cure=each.cure)
    # The loop that the server itself would choose.
    with asyncio.Runner(loop_factory=Config("", log_config=None).get_loop_factory()) as runner:
        started = _started if sys.stderr.isatty() else lambda _: None
        runner.run(run(settings, reading.loaded.pipelines, started, whereabouts=reading.loaded.whereabouts))


def _started(addresses: Addresses) -> None:
    """On a terminal the log is for people, and so is this."""
    note(f"callbacks and health: {addresses.public}    metrics and jobs: {addresses.ops}    stop: Ctrl-C")
