"""Settings: one list of everything that is wrong, and no secret in anything that prints."""

import re
from pathlib import Path

import pytest

from service.domain.objects import ObjectPlace
from service.settings.groups import (
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
from service.settings.load import GROUPS, VARIABLES
from service.settings.places import Bucket, DynamoTable, Queue, Sqlite, Topic
from service.templates import starter
from tests.unit.settings_samples import BASE, KEY, ON_AWS, SECRET, load, problems


def test_the_key_is_enough() -> None:
    settings = load(ASSEMBLYAI_API_KEY=KEY)
    assert settings.vendor.api_key.get_secret_value() == KEY
    assert settings.vendor.assemblyai_url == "https://api.assemblyai.com"
    assert settings.vendor.llm_gateway_url == "https://llm-gateway.assemblyai.com"
    assert settings.allowance.llm_share == 1
    assert settings.deployment == Deployment.model_validate({}, context={"base": BASE})
    assert settings.deployment.name == "afterword"
    assert settings.callbacks.public_url is None
    assert settings.callbacks.secrets == ()
    assert settings.pipelines.place.path == BASE / "pipelines.toml"
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
    assert work.url_lifetime == 6 * 3600
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
        AFTERWORD_URL_LIFETIME="7d",
        AFTERWORD_RECONCILE_AFTER="10m",
        AFTERWORD_GIVE_UP_AFTER="2h",
        AFTERWORD_LEASE="2.5s",
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
    assert settings.work.url_lifetime == 7 * 86400
    assert settings.work.lease == 2.5
    assert settings.deployment.log_level == "debug"


def test_every_engine_may_be_one_of_aws() -> None:
    settings = load(ASSEMBLYAI_API_KEY=KEY, **ON_AWS)
    assert settings.pipelines.place == ObjectPlace(bucket="my-config", key="0f3a/pipelines.toml")
    assert settings.drops.place == Queue(url="https://sqs.eu-west-1.amazonaws.com/123456789012/afterword-recordings")
    assert settings.jobs.place == DynamoTable(name="afterword_jobs-1.x")
    assert settings.results.place == Bucket(name="my-results", prefix="after/word/")
    assert settings.events.place == Topic(arn="arn:aws-us-gov:sns:us-gov-west-1:123456789012:recordings")
    assert settings.inbox is None
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("text", "prefix"), [("s3://my-results", ""), ("s3://my-results/", ""), ("s3://my-results/a/b//", "a/b/")]
)
def test_a_prefix_is_a_folder_or_nothing(text: str, prefix: str) -> None:
    assert load((ResultsPlace,), AFTERWORD_RESULTS=text).results.place == Bucket(name="my-results", prefix=prefix)


def test_queues_and_topics_may_be_fifo_and_a_queue_may_be_near() -> None:
    queue, topic = "http://127.0.0.1:4566/000000000000/q.fifo", "arn:aws:sns:eu-west-1:123456789012:t.fifo"
    settings = load((DropsPlace, EventsPlace), AFTERWORD_DROPS=queue, AFTERWORD_EVENTS=topic)
    assert (settings.drops.place, settings.events.place) == (Queue(url=queue), Topic(arn=topic))


def test_engines_of_both_kinds_go_together() -> None:
    settings = load(ASSEMBLYAI_API_KEY=KEY, AFTERWORD_RESULTS=ON_AWS["AFTERWORD_RESULTS"], AFTERWORD_DROPS="results")
    assert settings.jobs.place == Sqlite(path=BASE / "afterword.db")
    assert not settings.engulfs_drops("calls")


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
    assert settings.own_places(BASE) == [BASE / "results", BASE / "events.jsonl", BASE / "pipelines.toml"]
    settings = load(places, AFTERWORD_DROPS=".")
    assert BASE / "afterword.db-wal" in settings.own_places(BASE)
    assert load(places).own_places(BASE / "inbox") == []
    assert load(places, **ON_AWS).own_places(BASE) == []


def test_a_pipeline_whose_results_would_fall_into_the_inbox_is_known() -> None:
    settings = load((DropsPlace, ResultsPlace), AFTERWORD_RESULTS=".")
    assert settings.own_places(BASE) == []
    assert settings.engulfs_drops("inbox")
    assert not settings.engulfs_drops("calls")


def test_every_group_has_its_rows_in_the_table() -> None:
    names = [each.name for each in VARIABLES]
    assert len(names) == len(set(names)) == 30
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
