"""Where settings come from, and that secrets go nowhere."""

from pathlib import Path

import pytest

from service.domain.errors import Refused
from service.settings.groups import Callbacks, Deployment, Ops, Vendor
from service.settings.load import Settings
from tests.unit.settings_samples import BASE, KEY, SECRET, load, problems


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("export AFTERWORD_NAME='from-file'\nAFTERWORD_REGION=eu # Frankfurt\nPATH=/x\n")
    settings = load((Vendor,), dotenv, ASSEMBLYAI_API_KEY=KEY, AFTERWORD_NAME="from-environment")
    assert settings.deployment.name == "from-environment"
    assert settings.vendor.region == "eu"


def test_an_empty_variable_takes_back_what_the_file_says(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"AFTERWORD_PUBLIC_URL=https://x.example\nAFTERWORD_WEBHOOK_SECRETS={SECRET}\n")
    assert load((Callbacks,), dotenv).callbacks.public_url == "https://x.example"
    assert load((Callbacks,), dotenv, AFTERWORD_PUBLIC_URL="").callbacks.public_url is None


def test_a_missing_dotenv_file_is_an_empty_one(tmp_path: Path) -> None:
    assert load((Deployment,), tmp_path / ".env").deployment.name == "afterword"


@pytest.mark.parametrize(
    ("content", "what"), [(b"A=\xff", "not UTF-8"), (b"A=1\n" * 300_000, "larger")], ids=["bytes", "size"]
)
def test_a_dotenv_file_that_cannot_be_read_is_a_problem(tmp_path: Path, content: bytes, what: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(content)
    [problem] = problems((Deployment,), dotenv)
    assert problem.place == ".env"
    assert what in problem.what


def test_a_dotenv_line_that_sets_nothing_is_told_by_its_number_alone(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"\nAFTERWORD_NAME=x\n\nASSEMBLYAI_API_KEY {KEY}\n")
    [warning] = load((Deployment,), dotenv).warnings
    assert warning.place == ".env:4"
    assert KEY not in str(warning)


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    held = tmp_path / "key"
    held.write_text(f"{KEY}\n")
    settings = load((Vendor,), ASSEMBLYAI_API_KEY_FILE=str(held))
    assert settings.vendor.api_key.get_secret_value() == KEY


def test_a_secret_in_the_environment_wins_over_its_file_named_in_the_dotenv_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ASSEMBLYAI_API_KEY_FILE=/none\n")
    assert load((Vendor,), dotenv, ASSEMBLYAI_API_KEY=KEY).vendor.api_key.get_secret_value() == KEY


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_that_holds_no_secret_is_one_problem(tmp_path: Path, content: bytes) -> None:
    held = tmp_path / "key"
    held.write_bytes(content)
    [problem] = problems((Vendor,), ASSEMBLYAI_API_KEY_FILE=str(held))
    assert problem.place == "ASSEMBLYAI_API_KEY_FILE"
    assert "name a file that holds the secret" in problem.cure


def test_secrets_are_in_nothing_that_prints(tmp_path: Path) -> None:
    held = tmp_path / "token"
    held.write_text("0ps-t0ken")
    environ = {
        "ASSEMBLYAI_API_KEY": KEY,
        "AFTERWORD_PUBLIC_URL": "https://x.example",
        "AFTERWORD_WEBHOOK_SECRETS": f"{SECRET},{SECRET}2",
        "AFTERWORD_OPS_TOKEN_FILE": str(held),
    }
    settings = Settings.load(environ, base=BASE)
    printed = f"{settings!r} {settings} {[each.model_dump_json() for each in settings.groups.values()]}"
    for secret in (KEY, SECRET, "0ps-t0ken"):
        assert secret not in printed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSEMBLYAI_API_KEY", "pr1vate key"),
        ("AFTERWORD_WEBHOOK_SECRETS", "pr1vate"),
        ("AFTERWORD_OPS_TOKEN", "pr1vate\ttoken"),
        ("AFTERWORD_PUBLIC_URL", "https://user:pr1vate@x.example"),
        ("AFTERWORD_JOBS", "postgres://user:pr1vate@x.example/db"),
        ("AFTERWORD_DROPS", "ftp://user:pr1vate@x.example"),
        ("AFTERWORD_EVENTS", "kafka://user:pr1vate@x.example"),
    ],
)
def test_secrets_are_in_no_error(name: str, value: str) -> None:
    with pytest.raises(Refused) as caught:
        Settings.load({"ASSEMBLYAI_API_KEY": KEY, name: value}, base=BASE)
    assert "pr1vate" not in f"{caught.value} {caught.value!r} {caught.value.problems}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or "pr1vate" not in str(caught.value.__context__)


def test_a_secret_whose_file_is_missing_is_not_also_called_missing() -> None:
    found = problems(
        (Callbacks, Ops),
        AFTERWORD_PUBLIC_URL="https://x.example",
        AFTERWORD_WEBHOOK_SECRETS_FILE="/none/there",
        AFTERWORD_OPS_HOST="0.0.0.0",
        AFTERWORD_OPS_TOKEN_FILE="/none/there",
    )
    assert [each.place for each in found] == ["AFTERWORD_WEBHOOK_SECRETS_FILE", "AFTERWORD_OPS_TOKEN_FILE"]
