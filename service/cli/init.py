"""`afterword init`: the files to start from."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.complaints import refusal
from service.cli.screen import note, out
from service.domain.errors import Problem, Refused
from service.templates import starter

PIPELINES: Final = "pipelines.toml"
DOTENV: Final = ".env"
"""Beside the settings lies the key: nobody else may read the file."""


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    *,
    ready: Annotated[
        str | None, typer.Option(metavar="KIND", help=f"Ready pipelines for: {', '.join(starter.kinds())}.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write a commented pipelines.toml and .env into this folder; with --ready, pipelines to use as they are."""
    if ready is not None and ready not in starter.kinds():
        cure = f"choose one of {', '.join(starter.kinds())}"
        raise refusal(f"--ready {ready}", "there are no ready pipelines for that", cure)
    pipelines = {PIPELINES: starter.pipelines()} if ready is None else starter.ready(ready)
    files = {Path(name): (text, 0o666) for name, text in pipelines.items()} | {Path(DOTENV): (starter.env(), 0o600)}
    standing = [path for path in files if os.path.lexists(path)]
    if standing and not force:
        cure = "move it away, or overwrite it with --force"
        raise Refused([Problem(place=str(path), what="it is there already", cure=cure) for path in standing])
    for path, (text, mode) in files.items():
        try:
            _write(path, text, mode)
        except OSError as error:
            raise refusal(str(path), f"it cannot be written ({error.strerror})", "mend that, or go elsewhere") from None
        out(str(path))
    for line in _next(ready):
        note(line)


def _next(ready: str | None) -> Sequence[str]:
    own = "write your prompts into" if ready is None else "read"
    return (
        "Next:",
        f"  1. put your AssemblyAI key into {DOTENV} (ASSEMBLYAI_API_KEY=…)",
        f"  2. {own} {PIPELINES}",
        "  3. afterword check      lists whatever is wrong or missing",
        # A ready pipeline takes what lies in the folder of its name, and nothing else.
        f"  4. afterword serve      and drop recordings into ./inbox{f'/{ready}' if ready else ''}",
    )


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says. A link is replaced, not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor is no path
            file.write(text)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
