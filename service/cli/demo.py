"""`afterword demo`: the whole job on this machine."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.complaints import FAILED, refusal
from service.cli.demonstration import cost
from service.cli.demonstration.performance import with_standin, with_vendor
from service.cli.demonstration.rehearsal import Plan, plan, vendor
from service.cli.demonstration.story import Stop, Stopped
from service.cli.screen import note, wrapped

SIGNALLED: Final = 128
"""A command that a signal ends exits with this and the signal's number."""

WELCOME: Final = """\
Recordings are dropped into a folder, transcribed, answered, and told in one event each.

The other side is a stand-in for AssemblyAI on this machine: no account, no network. It knows its recordings by heart, \
and its answers are extracts of the transcripts. On the way one callback is duplicated, one is lost, one is forged, \
and the service is killed once.

"""


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    *,
    recording: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own speech, beside the bundled recordings.")
    ] = None,
    pipelines: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own pipelines.toml.")] = None,
    workdir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An empty folder for all of it; by default a fresh one.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it running until Ctrl-C, for recordings that you drop yourself.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="AssemblyAI itself, with your ASSEMBLYAI_API_KEY; tells the cost and asks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --live.")] = False,
) -> None:
    """Show the whole job on this machine, with recordings that come along and a stand-in for AssemblyAI.

    No account and no network is needed, and none of your settings is used, neither .env nor the environment. With
    --live your key, AFTERWORD_REGION and the overrides of the hosts are, and with --recording only that one is
    transcribed. What was made stays in the folder that it names.
    """
    account = vendor(os.environ) if live else {}
    if live and not yes and not sys.stdin.isatty():
        raise refusal("--live", "it costs money, and there is no terminal to ask on", "agree beforehand with --yes")
    show = plan(recording, pipelines, workdir, os.environ, live=live)
    stop = Stop()
    try:
        if live:
            _agreed(show, yes=yes)
        for line in () if live else wrapped(WELCOME):
            note(line)
        note(f"Everything lies in {show.folder}")
        with stop.heeded():
            code = with_vendor(show, account, stop, keep=keep) if live else with_standin(show, stop, keep=keep)
    except Stopped as stopped:
        note(f"stopped; what there is lies in {show.folder}")
        code = SIGNALLED + stopped.number
    raise typer.Exit(code)


def _agreed(show: Plan, *, yes: bool) -> None:
    """Raises typer.Exit if the viewer thinks better of it."""
    for line in cost.estimate(show.samples, show.pipelines):
        note(line)
    if not yes and not typer.confirm("Go on?", err=True):
        note("nothing was sent")
        raise typer.Exit(FAILED)
