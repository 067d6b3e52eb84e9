"""AWS's own variables from `.env`: lent to boto3 where the environment says nothing of the kind."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from service.cli.aws_environment import lend, lent

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("environ", "written", "taken"),
    [
        ({}, {**KEYS, "AWS_REGION": "eu-west-1"}, {**KEYS, "AWS_REGION": "eu-west-1"}),
        ({"AWS_REGION": "us-east-1"}, {"AWS_REGION": "eu-west-1"}, {}),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, {"AWS_REGION": "eu-west-1"}, {}),
        ({"AWS_REGION": ""}, {"AWS_DEFAULT_REGION": "eu-west-1"}, {"AWS_DEFAULT_REGION": "eu-west-1"}),
        ({"AWS_PROFILE": "mine"}, {**KEYS, "AWS_REGION": "eu-west-1"}, {"AWS_REGION": "eu-west-1"}),
        (KEYS, {"AWS_SESSION_TOKEN": "of-other-keys", "AWS_PROFILE": "other"}, {}),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}, KEYS, {}),
        (
            {"AWS_ENDPOINT_URL": "http://a"},
            {"AWS_ENDPOINT_URL": "http://b", "AWS_CA_BUNDLE": "c"},
            {"AWS_CA_BUNDLE": "c"},
        ),
    ],
)
def test_who_and_where_are_taken_whole_or_not_at_all(
    environ: Mapping[str, str], written: Mapping[str, str], taken: Mapping[str, str]
) -> None:
    assert lent(environ, written) == taken


def test_only_what_is_awss_is_lent(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("AWS_REGION= eu-west-1 \nAWS_PROFILE=\nPATH=/evil\nAFTERWORD_NAME=x\nnonsense\n")
    environ = {"HOME": "/"}
    lend(environ, dotenv)
    assert environ == {"HOME": "/", "AWS_REGION": "eu-west-1"}
    lend(environ, tmp_path / "none")
    assert environ == {"HOME": "/", "AWS_REGION": "eu-west-1"}
