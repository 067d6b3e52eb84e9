"""Loading settings from keywords, for tests."""

from pathlib import Path

import pytest

from service.domain.errors import Problem, Refused
from service.settings.fields import Group
from service.settings.load import GROUPS, Settings

KEY = "0123456789abcdef0123456789abcdef"
SECRET = "s3cret-" * 6
SIGNED = {"AFTERWORD_WEBHOOK_SECRETS": SECRET}
BASE = Path("/srv/afterword")


def load(needs: tuple[type[Group], ...] = GROUPS, dotenv: Path | None = None, **environ: str) -> Settings:
    return Settings.load(environ, dotenv, needs, base=BASE)


def problems(needs: tuple[type[Group], ...] = GROUPS, dotenv: Path | None = None, **environ: str) -> list[Problem]:
    with pytest.raises(Refused) as caught:
        load(needs, dotenv, **environ)
    return list(caught.value.problems)
