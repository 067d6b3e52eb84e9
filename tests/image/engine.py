"""podman, as far as the proof of the image needs it."""

import gzip
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""Lower than engines' own, which may be more than this machine grants."""
HARDENED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The command with its global options."""

    command: Sequence[str]

    def run(self, *arguments: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = [*self.command, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if check and done.returncode:
            raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def load_base(self, tree: Path, name: str) -> None:
        """A file system, without bytecode as the official image is, becomes the base under its name."""
        packed = subprocess.Popen(["tar", "-C", tree, "--exclude=__pycache__", "-c", "."], stdout=subprocess.PIPE)
        loading = [*self.command, "import", "-", name]
        subprocess.run(loading, stdin=packed.stdout, capture_output=True, timeout=900, check=True)
        packed.wait()

    def build(self, folder: Path, tag: str, *, wheels: Path, base: str) -> float:
        """Without a network, from these wheels; gives the seconds."""
        pip = wheels.with_name("pip.conf")
        pip.write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
        begun = time.monotonic()
        self.run(
            *("build", "--format", "docker", "--isolation", "oci", "--network", "none", *LIMITS, "--pull=never"),
            *("--secret", f"id=pip,src={pip}", "-v", f"{wheels}:/wheels:ro", "--build-arg", f"BASE={base}"),
            *("-t", tag, folder),
        )
        return time.monotonic() - begun

    def described(self, image: str) -> dict[str, Any]:
        (found,) = json.loads(self.run("image", "inspect", image).stdout)
        return dict(found)

    def compressed(self, image: str) -> int:
        """The bytes of the saved image as gzip packs them: about what a registry stores and a host pulls."""
        saving = subprocess.Popen([*self.command, "save", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert saving.stdout is not None
        packed = Count()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6) as archive:
            while piece := saving.stdout.read(1 << 20):
                archive.write(piece)
        saving.wait()
        return packed.total

    def said(self, image: str, *command: str, entrypoint: str | None = None) -> "subprocess.CompletedProcess[str]":
        """What one command comes to, in a container that can write nothing at all."""
        other = ("--entrypoint", entrypoint) if entrypoint else ()
        return self.run("run", "--rm", *LIMITS, *HARDENED, "--network", "none", *other, image, *command, check=False)


@dataclass
class Count:
    """A file that only counts."""

    total: int = 0

    def write(self, piece: bytes) -> int:
        self.total += len(piece)
        return len(piece)

    def flush(self) -> None:
        pass


@dataclass(kw_only=True)
class Container:
    """One that runs, read-only, without capabilities, on the host's network."""

    engine: Engine
    name: str
    begun: float = field(default_factory=time.time)

    def inspect(self, template: str) -> str:
        return self.engine.run("inspect", "--format", template, self.name).stdout.strip()

    @property
    def started(self) -> float:
        """When its first process began, in seconds since the epoch."""
        pid = self.inspect("{{.State.Pid}}")
        ticks = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return time.time() - (uptime - ticks / 100)

    def healthy(self, **environment: str) -> bool:
        """What the image's own health check says, asked in the container."""
        more = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        (config,) = json.loads(self.engine.run("inspect", self.name).stdout)
        command = config["Config"]["Healthcheck"]["Test"][1:]
        return self.engine.run("exec", *more, self.name, *command, check=False).returncode == 0

    def stop(self, within: int) -> tuple[int, float]:
        """Its exit code once asked to stop, and the seconds that took."""
        begun = time.monotonic()
        self.engine.run("kill", "--signal", self.inspect("{{.Config.StopSignal}}"), self.name)
        while self.inspect("{{.State.Running}}") == "true":
            if time.monotonic() - begun > within:
                raise SystemExit(f"{self.name} still runs {within} s after its stop signal")
            time.sleep(0.05)
        return int(self.inspect("{{.State.ExitCode}}")), time.monotonic() - begun

    def changed(self) -> str:
        """What was written outside its volumes."""
        return self.engine.run("diff", self.name).stdout

    def log(self) -> str:
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr


@contextmanager
def container(
    engine: Engine,
    image: str,
    *command: str,
    environment: Mapping[str, str],
    mounts: Sequence[str] = (),
    hardened: bool = True,
) -> Iterator[Container]:
    """A container for as long as the block lasts."""
    name = f"proof-{time.monotonic_ns()}"
    variables = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
    volumes = [word for mount in mounts for word in ("-v", mount)]
    engine.run(
        *("run", "-d", "--name", name, *LIMITS, *(HARDENED if hardened else ()), "--network", "host"),
        *(*variables, *volumes, image, *command),
    )
    running = Container(engine=engine, name=name)
    try:
        yield running
    except BaseException:
        print(running.log(), file=sys.stderr)
        raise
    finally:
        engine.run("rm", "-f", name)


def answered(url: str, within: float = 30) -> float:
    """When this address first answered 200, in seconds since the epoch."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return time.time()
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise SystemExit(f"{url} did not answer 200 within {within} s")
