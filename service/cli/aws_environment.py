"""AWS's own variables in `.env`: boto3 reads the environment alone, so they are put there."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from service.settings.source import Texts

PREFIX: Final = "AWS_"

WHO: Final = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    }
)
"""Credentials belong together: half of one set and half of another open nothing."""

WHERE: Final = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION"})


def lend(environ: MutableMapping[str, str], dotenv: Path) -> None:
    """Put AWS's variables of the file into the environment, which wins: where it says who, or where, that stands."""
    environ.update(lent(environ, Texts({}, dotenv).written(PREFIX)))


def lent(environ: Mapping[str, str], written: Mapping[str, str]) -> Mapping[str, str]:
    """Those of `written` that the environment leaves open."""
    taken = set(environ)
    for together in (WHO, WHERE):
        if any(environ.get(name) for name in together):
            taken |= together
    return {name: text for name, text in written.items() if name not in taken}
