"""What the image promises, as far as its recipe shows it; `python -m tests.image.proof` builds and runs it."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import requires
from pathlib import Path
from threading import Thread

import pytest

from service import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile: its name and its argument, lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines)]


def final_stage() -> list[tuple[str, str]]:
    found = instructions()
    last = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    return found[last + 1 :]


def only(name: str) -> str:
    """The argument of the one such instruction of the image that ships."""
    (argument,) = (argument for found, argument in final_stage() if found == name)
    return argument


def runs() -> list[str]:
    return [argument for name, argument in instructions() if name == "RUN"]


def probe() -> list[str]:
    """The health check's command."""
    found = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    return [str(word) for word in found]


def test_hadolint_has_no_complaint() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_stage_stands_on_the_one_base_that_an_argument_can_pin() -> None:
    stages = [argument.split()[0] for name, argument in instructions() if name == "FROM"]
    base = instructions()[0][1].removeprefix("BASE=")

    assert set(stages) == {"${BASE}"}
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+", base)


def test_packages_are_installed_by_hash_or_without_an_index_and_never_built() -> None:
    installs = [re.split(r"&&", part)[0] for run in runs() for part in run.split("pip --python")[1:]]

    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes --only-binary=:all: -r" in install or "--no-index --no-deps" in install


def test_the_locked_packages_come_before_our_own_code() -> None:
    lines = [f"{name} {argument}" for name, argument in instructions()]

    locked = next(at for at, line in enumerate(lines) if line.startswith("COPY requirements.lock"))
    ours = next(at for at, line in enumerate(lines) if line.startswith("COPY --from=wheel"))
    assert locked < ours


def test_the_build_tool_is_taken_from_the_lock_with_all_that_it_needs() -> None:
    """The build would fail too, but later and elsewhere."""
    wanted = re.search(r"/\^\(([a-z|-]+)\)==/", " ".join(runs()))
    assert wanted is not None
    named = set(wanted[1].split("|"))

    needed = {"hatchling"}
    for requirement in requires("hatchling") or []:
        if "python_version < '3.11'" not in requirement.replace('"', "'"):
            needed.add(re.split(r"[^A-Za-z0-9._-]", requirement)[0])
    assert named == needed
    assert named <= set(LOCKED.findall((ROOT / "requirements-dev.lock").read_text(encoding="utf-8")))


def test_it_runs_as_a_fixed_user_without_rights_that_a_cluster_can_check() -> None:
    user, _, group = only("USER").partition(":")

    assert user.isdecimal()
    assert int(user) >= 10000
    assert group == user
    assert "-perm /6000" in " ".join(argument for name, argument in final_stage() if name == "RUN")


def test_it_starts_without_a_shell_so_that_signals_arrive() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["afterword"]
    assert json.loads(only("CMD")) == ["serve"]
    assert only("STOPSIGNAL") == "SIGTERM"


def test_nothing_is_copied_into_it_but_the_finished_environment() -> None:
    copies = [argument for name, argument in final_stage() if name in {"COPY", "ADD"}]

    assert copies == ["--from=environment /opt/afterword /opt/afterword"]


def test_the_wheel_gets_what_the_project_file_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = {
        word
        for name, argument in instructions()
        if name == "COPY" and "--from" not in argument
        for word in argument.split()[:-1]
    }

    named = {project["project"]["readme"], *project["project"]["license-files"]}
    named |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert copied == named | {"pyproject.toml", "requirements.lock", "requirements-dev.lock"}


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {
        word
        for name, argument in instructions()
        if name == "COPY" and "--from" not in argument
        for word in argument.split()[:-1]
    }

    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert let_in == copied
    left_out = [rule for rule in rules[1:] if not rule.startswith("!")]
    # What comes later wins: nothing is let in again after the last words.
    assert rules[-len(left_out) :] == left_out
    for name in (".env", ".env.production", "__pycache__", "app.pyc", ".git"):
        assert any(fnmatchcase(name, rule.removeprefix("**/")) for rule in left_out), name


def test_the_version_it_is_labelled_with_is_the_package_s() -> None:
    assert ("ARG", f"VERSION={__version__}") in final_stage()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_its_health_check_tells_an_answer_from_trouble(status: int, code: int) -> None:
    asked: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        done = checked(server.server_port)
        thread.join(10)

    assert (done, asked) == (code, ["/healthz"])


def test_its_health_check_fails_where_nobody_listens() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port

    assert checked(port) == 1


def checked(port: int) -> int:
    """How the health check ends of a service that was told to listen on this port."""
    program, *rest = probe()
    assert program == "python"
    command = [sys.executable, *rest]
    environment = {"AFTERWORD_PORT": str(port)}
    return subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False).returncode
