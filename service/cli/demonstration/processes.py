"""The processes of a demonstration: started with an environment of their own, and never left behind."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import service
from service.cli.demonstration import leash

OURS: Final = ("ASSEMBLYAI_", "AFTERWORD_")
STOP_WITHIN: Final = 10.0
"""Seconds from SIGTERM to SIGKILL."""


class Process:
    """One process of this program, its output appended to a log file."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", leash.__name__, *arguments]
        self._environment = dict(environment)
        self._folder = folder
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            if log.tell():
                # Whoever was killed may have left half a line.
                log.write(b"\n")
                log.flush()
            self._process = subprocess.Popen(  # noqa: S603  # this very program
                self._command, env=self._environment, cwd=self._folder, stdin=subprocess.PIPE, stdout=log, stderr=log
            )

    def ended(self) -> int | None:
        """Its exit code, None as long as it runs."""
        return self._process.poll() if self._process else None

    def kill(self) -> None:
        """SIGKILL: it learns nothing of its end."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._let_go()

    def freeze(self) -> None:
        """Nothing goes on in it until it thaws, or is killed."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to end, and see to it. Does nothing twice."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        self._let_go()

    def _let_go(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()


def bare(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without any variable of ours, in which this program is found from every folder."""
    kept = {name: value for name, value in environment.items() if not name.upper().startswith(OURS)}
    paths = [str(Path(service.__file__).parent.parent), kept.get("PYTHONPATH", "")]
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}


def places(folder: Path, name: str) -> dict[str, str]:
    """The settings of a service that keeps everything in the folder, and listens on loopback only."""
    return {
        "AFTERWORD_NAME": name,
        "AFTERWORD_PIPELINES": str(folder / "pipelines.toml"),
        "AFTERWORD_DROPS": str(folder / "inbox"),
        "AFTERWORD_JOBS": f"sqlite:///{folder}/afterword.db",
        "AFTERWORD_RESULTS": str(folder / "results"),
        "AFTERWORD_EVENTS": str(folder / "events.jsonl"),
        "AFTERWORD_HOST": "127.0.0.1",
        "AFTERWORD_PORT": "0",
        "AFTERWORD_OPS_PORT": "0",
        "AFTERWORD_SETTLE": "0.5",
        "AFTERWORD_SHUTDOWN_GRACE": "5",
        "AFTERWORD_LOG_FORMAT": "json",
    }


def called_back(port: int, reconcile_after: float) -> dict[str, str]:
    """The settings of a service that is called back on that port; what takes minutes elsewhere takes seconds here."""
    return {
        "AFTERWORD_PORT": str(port),
        "AFTERWORD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "AFTERWORD_WEBHOOK_SECRETS": secrets.token_hex(32),
        "AFTERWORD_RECONCILE_AFTER": str(reconcile_after),
        "AFTERWORD_ADOPT_WITHIN": "3",
        "AFTERWORD_LEASE": "8",
    }


def free_port() -> int:
    """A port of loopback on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
