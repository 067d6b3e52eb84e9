"""`afterword check` with AWS's engines: each is tried, none keeps a trace, and none is waited for long."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.adapters.jobs.dynamodb_schema import EXPIRES_AT
from service.cli import aws_probes
from tests.cli.desk import Desk
from tests.cloud import Cloud
from tests.emulator import Emulator, Faulty

PLACES = ("AFTERWORD_JOBS", "AFTERWORD_DROPS", "AFTERWORD_RESULTS", "AFTERWORD_EVENTS")


@pytest.fixture
def cloud(
    configured: Desk,
    standin: str,
    emulator: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Cloud:
    """Everything that is needed, as the stack makes it, named in the desk's environment."""
    # A machine that runs many tests at once may keep even an emulator waiting.
    monkeypatch.setattr(aws_probes, "WITHIN", 20.0)
    made = Cloud(tmp_path_factory.mktemp("cloud"), standin, emulator)
    emulator.client("dynamodb").update_time_to_live(
        TableName=made.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT}
    )
    for name in PLACES:
        configured.environ(name, made.environment[name])
    return made


def problems(desk: Desk, *words: str) -> dict[str, str]:
    """By their places."""
    found = desk("check", "--json", *words).json
    return {each["place"]: f"{each['what']}; {each['cure']}" for each in found["problems"]}


def warnings(desk: Desk) -> dict[str, str]:
    found = desk("check", "--json").json
    assert found["problems"] == []
    return {each["place"]: f"{each['what']}; {each['cure']}" for each in found["warnings"]}


def test_a_service_that_is_set_up_well_on_aws_has_no_problems(configured: Desk, cloud: Cloud) -> None:
    cloud.put("waiting.wav", "It must still be there.")
    ran = configured("check")
    assert (ran.code, ran.out) == (0, "no problems\n")
    assert [line for line in ran.err.splitlines() if "PUBLIC_URL" not in line] == []
    assert cloud.keys("") == []
    assert cloud.events() == []
    scanned = cloud.emulator.client("dynamodb").scan(TableName=cloud.table)
    assert scanned["Count"] == 0
    received = cloud.emulator.client("sqs").receive_message(QueueUrl=cloud.queue_url)
    assert len(received["Messages"]) == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AFTERWORD_JOBS", "dynamodb://not-there", "there is no DynamoDB table not-there .*; deploy the stack"),
        ("AFTERWORD_DROPS", "http://127.0.0.1:1/000000000000/not-there", "there is no such queue; name a queue"),
        ("AFTERWORD_RESULTS", "s3://not-there", "there is no bucket not-there; deploy the stack"),
        ("AFTERWORD_EVENTS", "arn:aws:sns:eu-west-1:000000000000:not-there", "not-there is not there; make it"),
    ],
)
def test_what_is_not_there_is_a_problem_and_the_start_is_refused(
    configured: Desk, cloud: Cloud, name: str, value: str, words: str
) -> None:
    configured.environ(name, value)
    found = problems(configured)
    assert list(found) == [name]
    assert re.search(words, found[name])
    refused = configured("serve")
    assert refused.code == 1
    [error] = refused.errors
    assert error.startswith(f"error: {name}: ")
    assert re.search("there is no .*not-there.*; deploy the stack", error)


def test_everything_that_is_missing_is_refused_at_once(configured: Desk, cloud: Cloud) -> None:
    configured.environ("AFTERWORD_RESULTS", "s3://not-there")
    configured.environ("AFTERWORD_EVENTS", "arn:aws:sns:eu-west-1:000000000000:not-there")
    assert len(configured("serve").errors) == 2


def test_what_the_service_can_do_without_is_a_doubt(configured: Desk, cloud: Cloud) -> None:
    made = cloud.emulator.client
    made("dynamodb").update_time_to_live(
        TableName=cloud.table, TimeToLiveSpecification={"Enabled": False, "AttributeName": EXPIRES_AT}
    )
    made("sqs").set_queue_attributes(QueueUrl=cloud.queue_url, Attributes={"RedrivePolicy": ""})
    found = warnings(configured)
    assert "finished jobs are never forgotten; enable it on" in found["AFTERWORD_JOBS"]
    assert "no redrive policy" in found["AFTERWORD_DROPS"]


@pytest.mark.parametrize(
    ("rule", "place", "words"),
    [
        (("s3", "PutObject"), "AFTERWORD_RESULTS", "cannot be written to .*; allow s3:PutObject there"),
        (("s3", "GetObject"), "AFTERWORD_RESULTS", "cannot be read .*; allow s3:GetObject there, and s3:ListBucket"),
        (("sqs", "ReceiveMessage"), "AFTERWORD_DROPS", "may not be read .*; allow sqs:ReceiveMessage"),
    ],
)
def test_a_permission_that_lacks_is_a_problem_with_its_name(
    configured: Desk, cloud: Cloud, faulty: Faulty, rule: tuple[str, str], place: str, words: str
) -> None:
    service, operation = rule
    faulty.rules({"service": service, "operation": operation, "error": {"code": "AccessDenied", "status": 403}})
    found = problems(configured)
    assert list(found) == [place]
    assert re.search(words, found[place]), found


def test_a_bucket_that_writes_what_it_was_asked_not_to_is_no_place_for_results(
    configured: Desk, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = cloud.emulator.client("s3").put_object(Bucket=cloud.results, Key="results/readiness", Body=b"")
    # As if the condition had not been there.
    monkeypatch.setattr(aws_probes, "NO_ETAG", put["ETag"])
    assert "name one with conditional writes" in problems(configured)["AFTERWORD_RESULTS"]


def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


def no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)


def no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")


@pytest.mark.parametrize(
    ("lacks", "place", "words"),
    [
        (no_credentials, "AWS", "there are no AWS credentials here; set AWS_PROFILE, or"),
        (no_region, "AWS_REGION", "no AWS region is set; set AWS_REGION"),
        (no_profile, "AWS", "AWS_PROFILE names a profile that is not there; name one"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_machine_that_is_not_set_up_for_aws_is_told_so_once(
    configured: Desk,
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    lacks: Callable[[pytest.MonkeyPatch], None],
    place: str,
    words: str,
) -> None:
    lacks(monkeypatch)
    found = problems(configured)
    assert list(found) == [place]
    assert words in found[place]
    # Whoever is on call meets it here first.
    assert configured("status").err.startswith(f"error: AFTERWORD_JOBS: {words}")


def test_credentials_that_end_before_the_urls_they_sign_are_a_doubt(configured: Desk, cloud: Cloud) -> None:
    configured.environ("AWS_SESSION_TOKEN", "of-a-role-that-was-taken-on")
    assert "the AWS credentials end in about" in warnings(configured)["AFTERWORD_URL_LIFETIME"]
    configured.environ("AFTERWORD_URL_LIFETIME", "30m")
    assert "AFTERWORD_URL_LIFETIME" not in warnings(configured)
    configured.environ("AFTERWORD_URL_LIFETIME", "6h")
    configured.environ("AFTERWORD_AUDIO", "upload")
    assert "AFTERWORD_URL_LIFETIME" not in warnings(configured)


@pytest.mark.parametrize(("ahead", "words"), [(60, "60 s ahead of"), (-60, "60 s behind")])
def test_a_clock_that_is_wrong_is_a_problem(
    configured: Desk, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, ahead: float, words: str
) -> None:
    monkeypatch.setattr(aws_probes, "time", SimpleNamespace(time=lambda: time.time() + ahead))
    assert f"clock is {words} DynamoDB's; set it" in problems(configured)["AFTERWORD_JOBS"]


def test_recordings_that_are_named_are_tried_too(configured: Desk, cloud: Cloud, faulty: Faulty) -> None:
    cloud.put("calls/a.wav", "Readable.")
    keys = [f"s3://{cloud.recordings}/{key}" for key in ("calls/a.wav", "calls/made-up.wav")]
    assert problems(configured, "--match", *keys) == {}
    elsewhere = "s3://not-there/calls/a.wav"
    assert problems(configured, "--match", *keys, elsewhere)[elsewhere].startswith("there is no bucket not-there;")
    faulty.rules({"service": "s3", "operation": "GetObject", "error": {"code": "AccessDenied", "status": 403}})
    assert "it cannot be read (AccessDenied); allow s3:GetObject" in problems(configured, "--match", *keys)[keys[0]]


@pytest.fixture
def silence() -> Iterator[str]:
    """An address where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_endpoint_that_hangs_does_not_hang_the_check(
    configured: Desk, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, silence: str
) -> None:
    monkeypatch.setattr(aws_probes, "ATTEMPTS", 1)
    monkeypatch.setattr(aws_probes, "WITHIN", 0.3)
    configured.environ("AWS_ENDPOINT_URL", silence)
    began = time.monotonic()
    found = problems(configured)
    # Side by side and once: one after the other, or by the work's own patience, they would take much longer.
    assert time.monotonic() - began < 4
    assert set(found) == set(PLACES)
    assert all("ReadTimeoutError" in said for said in found.values()), found


def test_the_pipelines_file_may_lie_in_s3_and_is_read_there(configured: Desk, cloud: Cloud) -> None:
    text = (configured.folder / "pipelines.toml").read_bytes()
    (configured.folder / "pipelines.toml").unlink()
    cloud.emulator.client("s3").put_object(Bucket=cloud.results, Key="sha/pipelines.toml", Body=text)
    configured.environ("AFTERWORD_PIPELINES", f"s3://{cloud.results}/sha/pipelines.toml")
    assert configured("check").code == 0
    configured.environ("AFTERWORD_PIPELINES", f"s3://{cloud.results}/other/pipelines.toml")
    [told] = [each for each in configured("check").out.splitlines() if each.startswith("problem: ")]
    assert "there is no such object; put it there" in told


def test_nothing_of_the_credentials_is_printed(configured: Desk, cloud: Cloud, tmp_path: Path) -> None:
    configured.environ("AWS_SECRET_ACCESS_KEY", "nobody-may-see-this")
    configured.environ("AWS_SESSION_TOKEN", "nobody-may-see-that")
    ran = configured("check")
    assert "nobody-may-see" not in ran.out + ran.err
