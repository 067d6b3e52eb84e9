"""An operator's machine: no key and no secret, only where the fleet's jobs, results and events are."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.desk import Desk, Service, environment, eventually
from tests.cloud import Cloud
from tests.emulator import Emulator

PLACES = ("AFTERWORD_JOBS", "AFTERWORD_RESULTS", "AFTERWORD_EVENTS", "AFTERWORD_DROPS")


def test_an_operator_sees_and_sends_on_what_the_fleet_does(
    configured: Desk, standin: str, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), standin, emulator)
    places = {name: cloud.environment[name] for name in PLACES}
    configured.configure(standin, **places)
    config = (configured.folder / "pipelines.toml").read_bytes()
    emulator.client("s3").put_object(Bucket=cloud.results, Key="config/pipelines.toml", Body=config)
    cloud.put("calls/a.wav", "Announced.")
    with Service(configured.folder):
        eventually(lambda: len(cloud.events()) == 1)
        # Elsewhere: nothing but the variables that the stack's outputs name.
        desk = Desk(tmp_path_factory.mktemp("operator"), configured.monkeypatch, configured.capsys)
        configured.monkeypatch.chdir(desk.folder)
        desk.dotenv({**places, "AFTERWORD_PIPELINES": f"s3://{cloud.results}/config/pipelines.toml"})
        assert desk("status", "--json").json["failed"] == 0
        [listed] = desk("jobs", "list", "--json").json
        uri = f"s3://{cloud.recordings}/calls/a.wav"
        assert (listed["recording"]["uri"], listed["status"]) == (uri, "published")
        assert desk("jobs", "show", uri).code == 0
        assert desk("jobs", "republish", uri).code == 0
        eventually(lambda: cloud.events() != [] and len(cloud.deliveries) == 2)
        assert cloud.deliveries[0] == cloud.deliveries[1]
        assert desk("submit", uri).out.split()[1] == "known"
        cloud.emulator.client("s3").put_bucket_notification_configuration(
            Bucket=cloud.recordings, NotificationConfiguration={}
        )
        cloud.put("calls/b.wav", "Missed by the notifications.")
        filled = desk("submit", "-ry", f"s3://{cloud.recordings}/", "--wait")
        assert (filled.code, "1 new job, 1 known already" in filled.err) == (0, True)
        eventually(lambda: len(cloud.events()) == 2)
    assert list(desk.folder.iterdir()) == [desk.folder / ".env"]


def test_awss_own_variables_may_stand_in_the_env_file(configured: Desk, emulator: Emulator, standin: str) -> None:
    table = emulator.name("nowhere")
    configured.configure(standin, AFTERWORD_JOBS=f"dynamodb://{table}", **emulator.environment)
    bare = {name: value for name, value in environment().items() if not name.startswith("AWS_")}
    ran = subprocess.run(
        [sys.executable, "-m", "service", "status"],
        cwd=configured.folder,
        env=bare,
        text=True,
        timeout=60,
        check=False,
        capture_output=True,
    )
    # That the table is not there only AWS can have said.
    assert f"there is no DynamoDB table {table}" in ran.stderr


LAZY = """
import sys
from service.cli.app import run
codes = [run(words.split()) for words in ("submit a.mp3", "status", "jobs list", "check", "check --offline")]
print(codes, [name for name in ("boto3", "botocore") if name in sys.modules])
"""


def test_without_engines_of_awss_nothing_of_awss_is_imported(configured: Desk) -> None:
    configured.record("a.mp3")
    assert last_line(configured.folder, LAZY) == "[0, 0, 0, 0, 0] []"


SERVING = """
import asyncio, os, signal, sys
from service import serve
from service.cli.app import run

def started(addresses):
    asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGTERM)

from service.cli import serve as command
command.run = lambda settings, pipelines, _, **__: serve.serve(settings, pipelines, started)
print(run(["serve"]), [name for name in ("boto3", "botocore") if name in sys.modules])
"""


def test_an_embedded_service_works_without_importing_anything_of_awss(configured: Desk) -> None:
    configured.record("inbox/calls/a.wav")
    assert last_line(configured.folder, SERVING) == "0 []"
    assert (configured.folder / "afterword.db").exists()


def last_line(folder: Path, program: str) -> str:
    """Of what the program prints, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment(),
        text=True,
        timeout=60,
        check=True,
        capture_output=True,
    )
    return ran.stdout.splitlines()[-1]
