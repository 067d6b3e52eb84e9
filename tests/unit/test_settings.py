"""Settings: one list of everything that is wrong, and no secret in anything that prints."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.domain.errors import Problem, Refused
from service.settings import GROUPS, VARIABLES, Settings
from service.settings_fields import Group
from service.settings_groups import (
    Callbacks,
    Deployment,
    DropsPlace,
    EventsPlace,
    JobStore,
    Listener,
    Ops,
    PipelinesPlace,
    ResultsPlace,
    Vendor,
    Work,
)
from service.templates import starter

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


def test_the_key_is_enough() -> None:
    settings = load(ASSEMBLYAI_API_KEY=KEY)
    assert settings.vendor.api_key.get_secret_value() == KEY
    assert settings.vendor.assemblyai_url == "https://api.assemblyai.com"
    assert settings.vendor.llm_gateway_url == "https://llm-gateway.assemblyai.com"
    assert settings.vendor.llm_share == 1
    assert settings.deployment == Deployment.model_validate({}, context={"base": BASE})
    assert settings.deployment.name == "afterword"
    assert settings.callbacks.public_url is None
    assert settings.callbacks.secrets == ()
    assert settings.pipelines.path == BASE / "pipelines.toml"
    assert settings.drops.place.path == BASE / "inbox"
    assert settings.drops.settle == 2
    assert settings.jobs.place.path == BASE / "afterword.db"
    assert settings.jobs.keep_jobs == 90 * 86400
    assert settings.results.place.path == BASE / "results"
    assert settings.events.place.path == BASE / "events.jsonl"
    assert (settings.listener.host, settings.listener.port) == ("0.0.0.0", 8080)
    assert (settings.ops.host, settings.ops.port, settings.ops.token) == ("127.0.0.1", 9090, None)
    work = settings.work
    assert (work.audio, work.concurrency, work.lease, work.shutdown_grace) == ("presign", 64, 30, 25)
    assert (work.reconcile_after, work.adopt_within, work.give_up_after) == (600, 180, 6 * 3600)
    assert settings.warnings == ()


def test_every_setting_can_be_changed() -> None:
    settings = load(
        ASSEMBLYAI_API_KEY=KEY,
        AFTERWORD_NAME="staging-2",
        AFTERWORD_REGION="EU",
        AFTERWORD_ASSEMBLYAI_URL="http://127.0.0.1:9/",
        AFTERWORD_LLM_SHARE="0.25",
        AFTERWORD_PUBLIC_URL="https://hooks.example.com:8443/afterword/",
        AFTERWORD_WEBHOOK_SECRETS=f" {SECRET}1 , {SECRET}2,",
        AFTERWORD_PIPELINES="/etc/pipelines.toml",
        AFTERWORD_DROPS="../in",
        AFTERWORD_SETTLE="0",
        AFTERWORD_JOBS="sqlite:////var/lib/a.db",
        AFTERWORD_KEEP_JOBS="7",
        AFTERWORD_RESULTS="/out",
        AFTERWORD_EVENTS="/out/e.jsonl",
        AFTERWORD_HOST="::",
        AFTERWORD_PORT="0",
        AFTERWORD_OPS_HOST="0.0.0.0",
        AFTERWORD_OPS_PORT="9",
        AFTERWORD_OPS_TOKEN="token",
        AFTERWORD_AUDIO="upload",
        AFTERWORD_RECONCILE_AFTER="10m",
        AFTERWORD_GIVE_UP_AFTER="2h",
        AFTERWORD_LEASE="0.5s",
        AFTERWORD_CONCURRENCY="1",
        AFTERWORD_LOG_FORMAT="json",
        AFTERWORD_LOG_LEVEL="DEBUG",
    )
    assert settings.deployment.name == "staging-2"
    assert settings.vendor.assemblyai_url == "http://127.0.0.1:9"
    assert settings.vendor.llm_gateway_url == "https://llm-gateway.eu.assemblyai.com"
    assert settings.callbacks.public_url == "https://hooks.example.com:8443/afterword"
    assert [each.get_secret_value() for each in settings.callbacks.secrets] == [f"{SECRET}1", f"{SECRET}2"]
    assert settings.drops.place.path == Path("/srv/in")
    assert settings.drops.settle == 0
    assert settings.jobs.place.path == Path("/var/lib/a.db")
    assert settings.jobs.keep_jobs == 7 * 86400
    assert settings.listener.host == "::"
    assert settings.ops.token is not None
    assert settings.work.reconcile_after == 600
    assert settings.work.lease == 0.5
    assert settings.deployment.log_level == "debug"


BROKEN: list[tuple[Mapping[str, str], str, str]] = [
    ({"ASSEMBLYAI_API_KEY": ""}, "ASSEMBLYAI_API_KEY", "not set; copy the key from your AssemblyAI dashboard"),
    ({"ASSEMBLYAI_API_KEY": "my key"}, "ASSEMBLYAI_API_KEY", "blanks .*; copy it anew"),
    ({"ASSEMBLYAI_API_KEY_FILE": "/x"}, "ASSEMBLYAI_API_KEY", "so is ASSEMBLYAI_API_KEY_FILE; set only one"),
    ({"AFTERWORD_NAME": "My Deployment"}, "AFTERWORD_NAME", "no name; use at most 64"),
    ({"AFTERWORD_NAME": "x" * 65}, "AFTERWORD_NAME", "no name; use at most 64"),
    ({"AFTERWORD_REGION": "uss"}, "AFTERWORD_REGION", "none of us, eu; did you mean `us`"),
    ({"AFTERWORD_ASSEMBLYAI_URL": "api.assemblyai.com"}, "AFTERWORD_ASSEMBLYAI_URL", "no http.*; write it like https"),
    ({"AFTERWORD_ASSEMBLYAI_URL": "https://a.b/v2"}, "AFTERWORD_ASSEMBLYAI_URL", "path; write the scheme and host"),
    ({"AFTERWORD_LLM_GATEWAY_URL": "https://a:b@c"}, "AFTERWORD_LLM_GATEWAY_URL", "password; leave them out"),
    ({"AFTERWORD_LLM_GATEWAY_URL": "https://[::1"}, "AFTERWORD_LLM_GATEWAY_URL", "no URL; write it like"),
    ({"AFTERWORD_LLM_SHARE": "0"}, "AFTERWORD_LLM_SHARE", "no share .*; write a number above 0"),
    ({"AFTERWORD_LLM_SHARE": "nan"}, "AFTERWORD_LLM_SHARE", "no share .*; write a number above 0"),
    (
        {**SIGNED, "AFTERWORD_PUBLIC_URL": "http://example.com"},
        "AFTERWORD_PUBLIC_URL",
        "not https; write it like https",
    ),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a.b/?x=1"}, "AFTERWORD_PUBLIC_URL", "query or fragment; leave it out"),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a.b/#"}, "AFTERWORD_PUBLIC_URL", "query or fragment; leave it out"),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a.b:99999"}, "AFTERWORD_PUBLIC_URL", "no URL; write it like"),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a. b"}, "AFTERWORD_PUBLIC_URL", "blanks .*; write it like"),
    ({"AFTERWORD_PUBLIC_URL": "https://a.b"}, "AFTERWORD_WEBHOOK_SECRETS", "not set, .*; set a secret of at least 32"),
    ({"AFTERWORD_WEBHOOK_SECRETS": f"{SECRET},short"}, "AFTERWORD_WEBHOOK_SECRETS", "secret 2 of 2 has 5 .*openssl"),
    ({"AFTERWORD_WEBHOOK_SECRETS": ","}, "AFTERWORD_WEBHOOK_SECRETS", "no secret; make one with `openssl"),
    ({"AFTERWORD_PIPELINES": "s3://b/p.toml"}, "AFTERWORD_PIPELINES", "this version has files .* only; write the path"),
    (
        {"AFTERWORD_DROPS": "https://sqs.eu-west-1.amazonaws.com/1/q"},
        "AFTERWORD_DROPS",
        "a folder only; write a folder",
    ),
    ({"AFTERWORD_DROPS": "s3://bucket"}, "AFTERWORD_DROPS", "no kind that is known; write a folder"),
    ({"AFTERWORD_JOBS": "dynamodb://jobs"}, "AFTERWORD_JOBS", "this version has SQLite only; write `sqlite:///"),
    ({"AFTERWORD_JOBS": "sqlite://a.db"}, "AFTERWORD_JOBS", "no job store .*; write `sqlite:///"),
    ({"AFTERWORD_JOBS": "sqlite:///"}, "AFTERWORD_JOBS", "no job store .*; write `sqlite:///"),
    ({"AFTERWORD_JOBS": "sqlite:///:memory:"}, "AFTERWORD_JOBS", "lost with the process; write `sqlite:///"),
    ({"AFTERWORD_RESULTS": "s3://b/p"}, "AFTERWORD_RESULTS", "this version has a folder only; write a folder"),
    ({"AFTERWORD_RESULTS": "ftp://b/p"}, "AFTERWORD_RESULTS", "no kind that is known; write a folder"),
    ({"AFTERWORD_RESULTS": "./inbox/"}, "AFTERWORD_RESULTS", "where recordings arrive .*; name another folder"),
    (
        {"AFTERWORD_EVENTS": "arn:aws:sns:eu-west-1:1:t"},
        "AFTERWORD_EVENTS",
        "this version has a .jsonl file only; write",
    ),
    ({"AFTERWORD_EVENTS": "events.json"}, "AFTERWORD_EVENTS", "no .jsonl file; write a file"),
    ({"AFTERWORD_HOST": "http://0.0.0.0"}, "AFTERWORD_HOST", "no host .*; write an address"),
    ({"AFTERWORD_PORT": "65536"}, "AFTERWORD_PORT", "no whole number from 0 to 65535; write one"),
    ({"AFTERWORD_PORT": "\uff19"}, "AFTERWORD_PORT", "no whole number from 0 to 65535; write one"),
    ({"AFTERWORD_OPS_PORT": "8080"}, "AFTERWORD_OPS_PORT", "both listeners .*; give one of them another"),
    ({"AFTERWORD_OPS_HOST": "0.0.0.0"}, "AFTERWORD_OPS_TOKEN", "beyond loopback; set a token"),
    ({"AFTERWORD_OPS_TOKEN": "a\nb"}, "AFTERWORD_OPS_TOKEN", "blanks .*; copy it anew"),
    ({"AFTERWORD_OPS_TOKEN_FILE": "/none/there"}, "AFTERWORD_OPS_TOKEN_FILE", "No such file .*; name a file"),
    ({"AFTERWORD_AUDIO": "stream"}, "AFTERWORD_AUDIO", "none of presign, upload"),
    ({"AFTERWORD_LEASE": "30 sec"}, "AFTERWORD_LEASE", "not a duration; write a duration such as 30s"),
    ({"AFTERWORD_LEASE": "0"}, "AFTERWORD_LEASE", "zero; write a longer one"),
    ({"AFTERWORD_LEASE": "-5"}, "AFTERWORD_LEASE", "not a duration"),
    ({"AFTERWORD_KEEP_JOBS": "9999d"}, "AFTERWORD_KEEP_JOBS", "longer than ten years; write a duration such as 90d"),
    ({"AFTERWORD_CONCURRENCY": "0"}, "AFTERWORD_CONCURRENCY", "from 1 to 10000; write one"),
    ({"AFTERWORD_LOG_FORMAT": "jsn"}, "AFTERWORD_LOG_FORMAT", "did you mean `json`"),
    ({"AFTERWORD_LOG_LEVEL": "loud"}, "AFTERWORD_LOG_LEVEL", "none of debug, info"),
    ({"AFTERWORD_DROPS": "a\0b"}, "AFTERWORD_DROPS", "NUL .*; write a plain path"),
    ({"AFTERWORD_DROPS": "~nobody-of-this-name/x"}, "AFTERWORD_DROPS", "home folder .*; write the whole path"),
]


@pytest.mark.parametrize(("environ", "place", "words"), BROKEN, ids=lambda value: str(value)[:60])
def test_a_broken_setting_is_one_problem_with_its_place_and_cure(
    environ: Mapping[str, str], place: str, words: str
) -> None:
    with pytest.raises(Refused) as caught:
        Settings.load({"ASSEMBLYAI_API_KEY": KEY, **environ}, base=BASE)
    [problem] = caught.value.problems
    assert problem.place == place
    assert re.search(words, f"{problem.what}; {problem.cure}"), problem
    assert "\n" not in str(problem)


def test_all_that_is_wrong_is_listed_at_once() -> None:
    found = problems(
        AFTERWORD_PUBLIC_URL="http://x.example",
        AFTERWORD_OPS_HOST="10.0.0.1",
        AFTERWORD_LEASE="x",
        AFTERWORD_JOBS="mysql://x",
    )
    assert {each.place for each in found} == {
        "ASSEMBLYAI_API_KEY",
        "AFTERWORD_PUBLIC_URL",
        "AFTERWORD_WEBHOOK_SECRETS",
        "AFTERWORD_OPS_TOKEN",
        "AFTERWORD_LEASE",
        "AFTERWORD_JOBS",
    }
    assert len(found) == 6


def test_a_command_asks_only_for_what_it_uses() -> None:
    settings = load((JobStore,), AFTERWORD_LEASE="x", AFTERWORD_OPS_TOKEN_FILE="/none", AFTERWORD_PUBLIC_URL="x")
    assert settings.jobs.place.path == BASE / "afterword.db"
    assert settings.deployment.log_format == "auto"
    with pytest.raises(KeyError):
        _ = settings.vendor


@pytest.mark.parametrize(
    ("host", "loopback"), [("localhost", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("::", False)]
)
def test_only_loopback_does_without_an_ops_token(host: str, loopback: bool) -> None:
    if loopback:
        assert load((Ops,), AFTERWORD_OPS_HOST=host).ops.token is None
    else:
        assert [each.place for each in problems((Ops,), AFTERWORD_OPS_HOST=host)] == ["AFTERWORD_OPS_TOKEN"]


def test_plain_http_callbacks_stay_on_loopback() -> None:
    settings = load((Callbacks,), AFTERWORD_PUBLIC_URL="http://localhost:8080", AFTERWORD_WEBHOOK_SECRETS=SECRET)
    assert settings.callbacks.public_url == "http://localhost:8080"


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


def test_an_unknown_variable_is_a_warning_with_what_was_meant() -> None:
    settings = load(
        (Deployment,), AFTERWORD_PUBLC_URL="x", AFTERWORD_JOBS_FILE="x", AFTERWORD_ZZZZZZZZZZZZ="x", HOME="/"
    )
    assert [each.place for each in settings.warnings] == [
        "AFTERWORD_JOBS_FILE",
        "AFTERWORD_PUBLC_URL",
        "AFTERWORD_ZZZZZZZZZZZZ",
    ]
    assert "did you mean AFTERWORD_PUBLIC_URL?" in settings.warnings[1].cure
    assert "settings table" in settings.warnings[2].cure


def test_a_key_that_would_travel_in_the_clear_is_a_warning() -> None:
    settings = load((Vendor,), ASSEMBLYAI_API_KEY=KEY, AFTERWORD_ASSEMBLYAI_URL="http://standin:8000")
    assert [each.place for each in settings.warnings] == ["AFTERWORD_ASSEMBLYAI_URL"]


def test_what_is_ours_inside_the_inbox_is_named() -> None:
    places = (DropsPlace, ResultsPlace, JobStore, EventsPlace, PipelinesPlace)
    settings = load(places, AFTERWORD_DROPS=".", AFTERWORD_JOBS="sqlite:////var/a.db")
    assert settings.own_places() == [BASE / "results", BASE / "events.jsonl", BASE / "pipelines.toml"]
    settings = load(places, AFTERWORD_DROPS=".")
    assert BASE / "afterword.db-wal" in settings.own_places()
    assert load(places).own_places() == []


def test_a_pipeline_whose_results_would_fall_into_the_inbox_is_known() -> None:
    settings = load((DropsPlace, ResultsPlace), AFTERWORD_RESULTS=".")
    assert settings.own_places() == []
    assert settings.engulfs_drops("inbox")
    assert not settings.engulfs_drops("calls")


def test_every_group_has_its_rows_in_the_table() -> None:
    names = [each.name for each in VARIABLES]
    assert len(names) == len(set(names)) == 29
    assert [each.name for each in VARIABLES if each.secret] == [
        "ASSEMBLYAI_API_KEY",
        "AFTERWORD_WEBHOOK_SECRETS",
        "AFTERWORD_OPS_TOKEN",
    ]
    assert all(each.meaning and each.default for each in VARIABLES)
    assert set(GROUPS) >= {Listener, Work}


def test_the_env_file_to_start_from_knows_every_setting_and_its_default(tmp_path: Path) -> None:
    written = starter.env()
    for each in VARIABLES:
        line = re.search(rf"^#?{each.name}=(.*)$", written, re.MULTILINE)
        assert line, each.name
        assert line[1] in {each.default, ""} or each.name == "AFTERWORD_PUBLIC_URL"
    dotenv = tmp_path / ".env"
    dotenv.write_text(written.replace("ASSEMBLYAI_API_KEY=\n", f"ASSEMBLYAI_API_KEY={KEY}\n"))
    assert load(dotenv=dotenv) == load(ASSEMBLYAI_API_KEY=KEY)
    assert [each.place for each in problems(dotenv=None)] == ["ASSEMBLYAI_API_KEY"]


def test_a_secret_whose_file_is_missing_is_not_also_called_missing() -> None:
    found = problems(
        (Callbacks, Ops),
        AFTERWORD_PUBLIC_URL="https://x.example",
        AFTERWORD_WEBHOOK_SECRETS_FILE="/none/there",
        AFTERWORD_OPS_HOST="0.0.0.0",
        AFTERWORD_OPS_TOKEN_FILE="/none/there",
    )
    assert [each.place for each in found] == ["AFTERWORD_WEBHOOK_SECRETS_FILE", "AFTERWORD_OPS_TOKEN_FILE"]
