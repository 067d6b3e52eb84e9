"""`afterword schema`: the JSON Schemas."""

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.screen import out_json
from service.domain.pipelines.raw import json_schema
from service.domain.schemas import event_schema


class Of(StrEnum):
    PIPELINES = "pipelines"
    EVENT = "event"


def register(app: typer.Typer) -> None:
    app.command("schema")(schema)


def schema(
    of: Annotated[Of, typer.Argument(help="Of the pipelines file (for editors), or of an event (for subscribers).")],
) -> None:
    """Print the JSON Schema of the pipelines file or of an event."""
    out_json(json_schema() if of is Of.PIPELINES else event_schema())
