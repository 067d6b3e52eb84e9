"""The stand-in in a thread, for every test that needs AssemblyAI on the other side."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson

from service.simulator.options import Options
from service.simulator.scripts import Heard, from_script
from service.simulator.serve import StandIn, listen

KEY = "stand-in-key"
QUICK = Options(
    api_key=KEY, queue_seconds=0.01, process_seconds=0.02, redacted_audio_seconds=0.02, webhook_gap_seconds=0.05
)
"""No faults, and nothing takes long."""


@contextmanager
def running(options: Options = QUICK, port: int = 0) -> Iterator[str]:
    """The URL of a stand-in that listens on loopback until the context ends."""
    listening = threading.Event()
    with listen("127.0.0.1", port) as listener:
        server = StandIn(options, listener, lambda _: listening.set())
        thread = threading.Thread(target=server.run, name="stand-in")
        thread.start()
        try:
            if not listening.wait(20):
                raise RuntimeError("the stand-in did not start")
            yield server.url
        finally:
            server.should_exit = True
            thread.join(20)


def script(*texts: str, duration: float | None = None, **more: Any) -> bytes:
    """A recording in the stand-in's own format: each text an utterance, speakers A and B in turn."""
    utterances = [{"speaker": "AB"[number % 2], "text": text} for number, text in enumerate(texts)]
    told = {"utterances": utterances, **({} if duration is None else {"duration": duration}), **more}
    return b"AFTERWORD-SCRIPT\n" + orjson.dumps(told)


def write_script(path: Path, *texts: str, duration: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(script(*texts, duration=duration))
    return path


def heard(*texts: str) -> Heard:
    """What the stand-in makes of such a recording."""
    return from_script(orjson.loads(script(*texts).partition(b"\n")[2]))


def set_faults(url: str, *rules: dict[str, Any], seed: int | None = None) -> list[dict[str, Any]]:
    """Adds rules to the fault dial; gives all that are in force, each with how often it was `applied`."""
    body: dict[str, Any] = {"rules": list(rules)} | ({} if seed is None else {"seed": seed})
    return _rules(httpx2.post(f"{url}/simulator/faults", json=body))


def faults(url: str) -> list[dict[str, Any]]:
    return _rules(httpx2.get(f"{url}/simulator/faults"))


def clear_faults(url: str) -> None:
    _rules(httpx2.delete(f"{url}/simulator/faults"))


def ledger(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{url}/simulator/ledger", timeout=30).raise_for_status().json()
    return found


def totals(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{url}/simulator/ledger?only=totals").raise_for_status().json()
    return found


def reset(url: str) -> None:
    httpx2.post(f"{url}/simulator/reset").raise_for_status()


def _rules(response: httpx2.Response) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = response.raise_for_status().json()["rules"]
    return rules
