"""The image, built and run for real.

    python -m tests.image.proof                               # needs root, podman, pip, git and the base image
    python -m tests.image.proof --store FOLDER --base TREE    # a store of its own, and a file system as the base

What is committed is built without a network from wheels that pip has downloaded by hash, and looked into. Then it runs
with a root that cannot be written to, without capabilities: the service on folders and SQLite, then on AWS's engines in
the emulator, each beside the stand-in from the same image; a recording each; and SIGTERM. It prints what it saw, and
exits 1 at the first thing that is not as promised.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cloud import Cloud
from tests.emulator import emulating
from tests.image.engine import HARDENED, Container, Engine, answered, container
from tests.image.inside import looked_into
from tests.ports import free_port
from tests.premises import Premises
from tests.standin import KEY, totals

ROOT = Path(__file__).parents[2]
TAG = "localhost/afterword:proof"
GRACE = 5
"""Seconds: the premises' AFTERWORD_SHUTDOWN_GRACE."""
PLANTED = (".env", "service/.env", "service/cli/.env.production", "service/left.pyc", "afterword.db")
"""What may lie about where somebody builds."""


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="podman's images and containers, apart from your own (vfs)")
    parser.add_argument("--base", type=Path, help="a file system that has Python: stands in for the base image")
    parser.add_argument("--runtime", default="", help="podman's OCI runtime, such as runc")
    parser.add_argument("--image", default="", help="prove this image instead of building one")
    asked = parser.parse_args()
    engine = Engine(command=_podman(asked.store, asked.runtime))
    with tempfile.TemporaryDirectory(prefix="image-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        image = asked.image or _built(engine, folder, asked.base)
        _tell("looked into", looked_into(engine, image, PLANTED))
        _tell("on folders and SQLite", _on_folders(engine, image, folder))
        _tell("on AWS's engines", _on_aws(engine, image, folder))
    print("the image is as promised")
    return 0


def _podman(store: Path | None, runtime: str) -> list[str]:
    command = ["podman"]
    if store:
        command += ["--root", f"{store}/store", "--runroot", f"{store}/run", "--storage-driver", "vfs"]
    return [*command, "--runtime", runtime] if runtime else command


def _tell(what: str, seen: dict[str, object]) -> None:
    print(f"{what}:", flush=True)
    for name, value in seen.items():
        print(f"  {name}: {value}", flush=True)


def _built(engine: Engine, folder: Path, tree: Path | None) -> str:
    base = re.findall(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[0]
    if tree:
        engine.load_base(tree, base)
    source = folder / "source"
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(source, filter="data")
    for name in PLANTED:
        (source / name).write_text("planted", encoding="utf-8")
    wheels = folder / "wheels"
    _download(source, wheels, _version(engine, base))
    _tell("built", {"seconds": round(engine.build(source, TAG, wheels=wheels, base=base))})
    return TAG


def _version(engine: Engine, base: str) -> str:
    told = engine.said(base, "-c", "import sys; print(*sys.version_info[:2], sep='.')", entrypoint="python3")
    if told.returncode:
        raise SystemExit(f"{base} has no python3: {told.stderr}")
    return told.stdout.strip()


def _download(source: Path, wheels: Path, version: str) -> None:
    """The wheels of the lock files, for the base's Python, whatever this machine's is."""
    pip = shutil.which("pip3")
    if pip is None:
        raise SystemExit("pip3 is not to be found on the PATH")
    machine = os.uname().machine
    tags = [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in (17, 28)] + [f"--platform=manylinux2014_{machine}"]
    named = re.findall(r"/\^\(([a-z|-]+)\)==/", (source / "Dockerfile").read_text(encoding="utf-8"))[0].split("|")
    development = (source / "requirements-dev.lock").read_text(encoding="utf-8")
    tool = source.with_name("hatchling.lock")
    tool.write_text("".join(re.findall(rf"^(?:{'|'.join(named)})==.*\n(?:    .*\n)+", development, re.MULTILINE)))
    how = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version", version, *tags)
    for lock in (source / "requirements.lock", tool):
        subprocess.run([pip, "download", "-q", *how, "-r", lock, "-d", wheels], check=True, stderr=subprocess.DEVNULL)


@contextmanager
def _standin(engine: Engine, image: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    simulate = ("simulate", "--port", str(port), "--webhook-gap-seconds", "0.05")
    with container(engine, image, *simulate, environment={"ASSEMBLYAI_API_KEY": KEY}, mounts=["/tmp"]):
        answered(f"{url}/simulator/ledger")
        yield url


def _on_folders(engine: Engine, image: str, folder: Path) -> dict[str, object]:
    work = folder / "work"
    work.mkdir()
    with _standin(engine, image) as url:
        premises = Premises(work, url)
        pipelines = (work / "pipelines.toml").read_text(encoding="utf-8")
        premises.pipelines(pipelines.replace('"**/*.wav"', '"**/*.wav", "**/*.mp3"'))
        _give(work)
        mounts = [f"{work}:{work}"]

        def at_work() -> None:
            """A real recording: the one that the demo starts with."""
            shutil.copytree(ROOT / "service/simulator/recordings/calls", premises.inbox / "calls")
            _wait(premises, 1)

        seen = _proved(engine, image, premises, mounts, at_work=at_work)
        if seen["ledger"] != {"transcripts": 1, "answers": 3, "paid twice": 0}:
            raise SystemExit(f"the stand-in billed {seen['ledger']}")
        # A container that could write anywhere does not, and knows what the first one did.
        with container(engine, image, environment=premises.environment, mounts=mounts, hardened=False) as again:
            answered(f"http://127.0.0.1:{premises.port}/readyz")
            premises.drop("calls/second.wav", "Second call.", "Indeed.")
            _give(work)
            _wait(premises, 2)
            again.stop(GRACE + 5)
            if changed := _unexpected(again.changed(), work):
                raise SystemExit(f"written outside the volume:\n{changed}")
        seen["written outside the volume"] = "nothing"
        seen["a second container on the volume"] = f"did nothing twice: {_billed(url)}"
    return seen


def _on_aws(engine: Engine, image: str, folder: Path) -> dict[str, object]:
    work = folder / "aws"
    work.mkdir()
    with ExitStack() as open_things:
        cloud = open_things.enter_context(emulating(folder / "emulator.log"))
        url = open_things.enter_context(_standin(engine, image))
        premises = Cloud(work, url, cloud)
        premises.environment |= cloud.environment
        mounts = [f"{work}/pipelines.toml:{work}/pipelines.toml:ro"]

        def at_work() -> None:
            premises.drop("calls/first.wav", "Good morning.", "Good morning to you.")
            _wait(premises, 1)

        return _proved(engine, image, premises, mounts, at_work=at_work)


def _proved(
    engine: Engine, image: str, premises: Premises, mounts: list[str], *, at_work: Callable[[], None]
) -> dict[str, object]:
    address = f"http://127.0.0.1:{premises.port}"
    with container(engine, image, environment=premises.environment, mounts=mounts) as service:
        up = answered(f"{address}/healthz") - service.started
        ready = answered(f"{address}/readyz") - service.started
        if not service.healthy() or service.healthy(AFTERWORD_PORT="1"):
            raise SystemExit("the health check does not tell a service that is up from one that is not")
        begun = time.monotonic()
        at_work()
        took = time.monotonic() - begun
        memory = _resident(service)
        code, seconds = service.stop(GRACE + 5)
        if code or "service.stopped" not in service.log():
            raise SystemExit(f"SIGTERM ended it with {code}:\n{service.log()}")
    return {
        "run with": " ".join(HARDENED),
        "/healthz after": f"{up:.2f} s from the first process's begin",
        "/readyz after": f"{ready:.2f} s",
        "its health check": "healthy; not so on a port where nobody listens",
        "recording to event": f"{took:.1f} s",
        "ledger": _billed(premises.standin),
        "resident": f"{memory} MiB",
        "SIGTERM": f"exit code 0 after {seconds:.1f} s, as process 1",
    }


def _resident(service: Container) -> int:
    pid = service.inspect("{{.State.Pid}}")
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found[1]) // 1024 if found else 0


def _give(folder: Path) -> None:
    """To the user that the image runs as."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 10001, 10001)


def _wait(premises: Premises, count: int, within: float = 60) -> None:
    ends = time.monotonic() + within
    while len(premises.events()) < count:
        if time.monotonic() > ends:
            raise SystemExit(f"{len(premises.events())} of {count} events after {within} s")
        time.sleep(0.05)
    if incomplete := [event for event in premises.events() if event["data"]["outcome"] != "complete"]:
        raise SystemExit(f"a recording did not complete: {incomplete[0]['data']['error']}")


def _billed(url: str) -> dict[str, int]:
    found = totals(url)
    return {
        "transcripts": found["transcripts_billed"],
        "answers": found["asks_billed"],
        "paid twice": found["paid_twice"]["transcripts"],
    }


def _unexpected(changed: str, work: Path) -> str:
    """Without the places that podman itself makes for mounts."""
    made = {*map(str, [work, *work.parents]), "/run", "/run/.containerenv", "/etc", "/etc/resolv.conf", "/etc/hosts"}
    made |= {"/etc/hostname", "/etc/mtab", "/proc", "/sys", "/dev"}
    return "\n".join(line for line in changed.splitlines() if line[2:] not in made)


if __name__ == "__main__":
    sys.exit(main())
