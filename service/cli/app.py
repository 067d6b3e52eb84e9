"""The commands by name. A command's module is imported only when it is the one that was called."""

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Final

import typer

import service
from service.cli.complaints import complain

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": "Show the whole job on this machine, no accounts.",
        "init": "Write a commented pipelines.toml and .env to start from.",
        "check": "List every problem of the settings, with its cure.",
        "serve": "Run the service.",
        "try": "Try prompts on one recording without publishing.",
        "submit": "Hand over files, URLs, transcripts or whole folders.",
        "status": "Tell what is where, what is due and what waits.",
        "usage": "Tell what each pipeline used, day by day.",
        "jobs": "List, show, retry, reanalyze, republish jobs.",
        "simulate": "Run the AssemblyAI stand-in alone.",
        "schema": "Print the JSON Schema of the pipelines file or an event.",
    }
)
"""Each is a module of this package with a function `register`."""

MODULES: Final[Mapping[str, str]] = MappingProxyType({"try": "trying"})
"""Where a command may not have the name of its module: a word of the language."""

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C: 128 and the signal's number."""

TOLD: Final = "Every recording that lands gets its transcript, the answers to your prompts, and one event that says so."


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; whatever goes wrong is told in sentences on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may hold what the terminal's encoding cannot write.
            stream.reconfigure(errors="backslashreplace")
    try:
        command = typer.main.get_command(_app(arguments))
        command.main(args=list(arguments), prog_name="afterword")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        # Before a command has taken over: what it needs is still being imported.
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last resort: people get a sentence, never a traceback
        return complain(error)
    return 0


def _app(arguments: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        name="afterword",
        help=TOLD,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    called = next((word for word in arguments if not word.startswith("-")), None)
    for name, told in COMMANDS.items():
        if name == called:
            register: Callable[[typer.Typer], None] = import_module(f"service.cli.{MODULES.get(name, name)}").register
            register(app)
        else:
            app.command(name, help=told)(_listed_only)
    return app


def _listed_only() -> None:
    """Stands for a command that was not called, in the list of them all."""


def _version(wanted: bool) -> None:  # noqa: FBT001  # called by position
    if wanted:
        typer.echo(f"afterword {service.__version__}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass
