"""`init`, `schema`, `simulate` and `serve`: what one begins with."""

import json
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2
import pytest
from jsonschema import Draft202012Validator

from service.domain.pipelines.file import load
from tests.cli.desk import PIPELINES, Desk, Service, environment, eventually


def test_init_writes_files_that_load_and_says_what_is_next(desk: Desk) -> None:
    ran = desk("init")
    assert (ran.code, ran.out) == (0, "pipelines.toml\n.env\n")
    assert "afterword check" in ran.err
    assert load(desk.folder / "pipelines.toml").pipelines.pipelines
    assert desk("check", "--offline").out.count("problem: ") == 1
    assert stat.S_IMODE((desk.folder / ".env").stat().st_mode) == 0o600


def test_init_of_ready_pipelines_says_where_they_look_for_recordings(desk: Desk) -> None:
    ran = desk("init", "--ready", "podcasts")
    assert (ran.code, ran.out) == (0, "pipelines.toml\nschemas/page.json\n.env\n")
    assert "drop recordings into ./inbox/podcasts\n" in ran.err
    (pipeline,) = load(desk.folder / "pipelines.toml").pipelines.pipelines
    assert all(pattern.startswith("podcasts/") for pattern in pipeline.match)


@pytest.mark.parametrize("name", ["pipelines.toml", ".env"])
def test_init_overwrites_nothing_unless_it_is_told_to(desk: Desk, name: str) -> None:
    (desk.folder / name).write_text("mine")
    refused = desk("init")
    assert refused.code == 1
    assert refused.errors == [f"error: {name}: it is there already; move it away, or overwrite it with --force"]
    assert desk.names() == {name}
    assert desk("init", "--force").code == 0
    assert (desk.folder / name).read_text() != "mine"


def test_init_never_writes_through_a_link(desk: Desk) -> None:
    outside = desk.folder / "elsewhere"
    outside.write_text("mine")
    (desk.folder / ".env").symlink_to(outside)
    assert desk("init").code == 1
    assert desk("init", "--force").code == 0
    assert outside.read_text() == "mine"


def test_init_says_when_it_cannot_write(desk: Desk) -> None:
    (desk.folder / "pipelines.toml").mkdir()
    ran = desk("init", "--force")
    assert ran.code == 1
    assert "pipelines.toml: it cannot be written (Is a directory)" in ran.errors[0]
    assert desk.names() == {"pipelines.toml"}


def test_the_schemas_are_schemas_and_take_what_they_are_of(desk: Desk) -> None:
    pipelines = desk("schema", "pipelines").json
    Draft202012Validator.check_schema(pipelines)
    Draft202012Validator(pipelines).validate(tomllib.loads(PIPELINES))
    event = desk("schema", "event").json
    Draft202012Validator.check_schema(event)
    assert event["properties"]["type"]["enum"][0] == "afterword.recording.analyzed.v1"


def test_the_stand_in_says_where_it_listens_and_takes_one_key(tmp_path: Path) -> None:
    ready = tmp_path / "url"
    words = ["simulate", "--ready-file", str(ready), "--fault", "list status status=418 times=1"]
    started = subprocess.Popen(
        [sys.executable, "-m", "service", *words],
        cwd=tmp_path,
        env=environment() | {"ASSEMBLYAI_API_KEY": "its-key"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(ready.exists, unless=lambda: started.poll() is not None)
        url = ready.read_text().strip()
        answers = [
            httpx2.get(f"{url}/v2/transcript", headers={"authorization": key}).status_code
            for key in ("its-key", "its-key", "other")
        ]
        assert answers == [418, 200, 401]
    finally:
        started.send_signal(signal.SIGTERM)
        out, err = started.communicate(timeout=20)
    assert (started.returncode, out) == (0, f"{url}\n")
    assert f"AFTERWORD_ASSEMBLYAI_URL={url}" in err
    assert "its-key" not in err


def test_the_service_serves_until_it_is_told_to_stop(configured: Desk) -> None:
    settings = dict(line.split("=", 1) for line in env(configured))
    configured.dotenv(settings | {"AFTERWORD_REGOIN": "eu"})
    with Service(configured.folder) as service:
        assert httpx2.get(f"{settings['AFTERWORD_PUBLIC_URL']}/healthz").is_success
        assert not configured("check").err.count("AFTERWORD_PUBLIC_URL")
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert lines[-1]["event"] == "service.stopped"
    assert [line["place"] for line in lines if line["event"] == "setting.doubted"] == ["AFTERWORD_REGOIN"]


def test_a_service_below_a_path_is_found_by_its_callbacks(configured: Desk) -> None:
    settings = dict(line.split("=", 1) for line in env(configured))
    configured.dotenv(settings | {"AFTERWORD_PUBLIC_URL": settings["AFTERWORD_PUBLIC_URL"] + "/hooks/"})
    with Service(configured.folder):
        assert not configured("check").err.count("AFTERWORD_PUBLIC_URL")
        configured.dotenv(settings | {"AFTERWORD_PUBLIC_URL": settings["AFTERWORD_PUBLIC_URL"] + "/elsewhere"})
        assert "warning: AFTERWORD_PUBLIC_URL: /callbacks/check answers 404 there" in configured("check").err


def test_a_port_that_is_taken_is_one_sentence(configured: Desk, standin: str) -> None:
    configured.environ("AFTERWORD_PORT", standin.rpartition(":")[2])
    ran = configured("serve")
    assert ran.code == 1
    assert "AFTERWORD_PORT: 127.0.0.1:" in ran.errors[0]
    assert "choose another port" in ran.errors[0]


def env(desk: Desk) -> list[str]:
    return (desk.folder / ".env").read_text().splitlines()
