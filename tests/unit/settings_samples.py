"""Loading settings from keywords, for tests."""

from pathlib import Path

import pytest

from service.domain.errors import Problem, Refused
from service.settings.fields import Group
from service.settings.load import GROUPS, Settings

KEY = "0123456789abcdef0123456789abcdef"
SECRET = "s3cret-" * 6
SIGNED = {"AFTERWORD_WEBHOOK_SECRETS": SECRET}
ON_AWS = {
    "AFTERWORD_PIPELINES": "s3://my-config/0f3a/pipelines.toml",
    "AFTERWORD_DROPS": "https://sqs.eu-west-1.amazonaws.com/123456789012/afterword-recordings",
    "AFTERWORD_JOBS": "dynamodb://afterword_jobs-1.x",
    "AFTERWORD_RESULTS": "s3://my-results/after/word",
    "AFTERWORD_EVENTS": "arn:aws-us-gov:sns:us-gov-west-1:123456789012:recordings",
}
BASE = Path("/srv/afterword")


def load(needs: tuple[type[Group], ...] = GROUPS, dotenv: Path | None = None, **environ: str) -> Settings:
    return Settings.load(environ, dotenv, needs, base=BASE)


def problems(needs: tuple[type[Group], ...] = GROUPS, dotenv: Path | None = None, **environ: str) -> list[Problem]:
    with pytest.raises(Refused) as caught:
        load(needs, dotenv, **environ)
    return list(caught.value.problems)
