"""Everything at once: recordings by the hundred, faults everywhere, SIGKILL after SIGKILL; then the books must balance.

    python -m tests.chaos --recordings 200 --kills 10
    python -m tests.chaos --engine aws --replicas 3

With `--engine aws` the engines are S3, SQS, DynamoDB and SNS in an emulator, behind a proxy that throttles, delays,
resets and loses acknowledgements. A vendor that duplicates, delays, reorders and loses callbacks and fails one answer
in twenty; a service that is killed again and again. It prints the ledger and what it was held to, and exits 1 if
anything was lost or paid twice.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from tests.balancer import balancing
from tests.cloud import Cloud
from tests.emulator import emulating, failing
from tests.ports import free_port
from tests.premises import Premises
from tests.standin import QUICK, clear_faults, faults, ledger, running, set_faults

COMBINED = """
[defaults]
model = "claude-sonnet-4-6"
max_tokens = 400

[[pipelines]]
name = "calls"
match = ["**/*.wav"]
combine = true

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "mood"
prompt = "Name the mood.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "triage"
prompt = "Classify it.\\n\\n{{ transcript }}"
schema = { type = "object", properties = { solved = { type = "boolean" } }, required = ["solved"] }

[[pipelines.prompts]]
name = "next-steps"
prompt = "After {{ answers.summary }}: what is next?\\n\\n{{ transcript }}"
"""
CALLS = ("upload", "submit", "read", "list", "ask")
ANSWER_SECONDS = 0.05
STARTS_WITHIN = 60.0
QUIET_WITHIN = 2.0
QUIET_LOOKS = 4


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything. `failing` is the share of the vendor's answers that fail, `lost` that of callbacks."""

    engine: str = "embedded"
    audio: str = "upload"
    replicas: int = 1
    recordings: int = 200
    kills: int = 10
    seed: int = 1
    failing: float = 0.05
    lost: float = 0.2
    within: float = 600.0
    combine: bool = False

    @property
    def answers(self) -> int:
        """To each recording."""
        return 4 if self.combine else 3

    @property
    def requests(self) -> int:
        """That bring them: three of the four in one."""
        return 2 if self.combine else 3

    @property
    def arrived(self) -> Sequence[str]:
        """What each request leaves behind that has brought something, as parts of keys."""
        return ("/requests/", "/answers/next-steps.json") if self.combine else ("/answers/",)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What it came to. `broken` says in sentences what was not as promised."""

    totals: dict[str, Any]
    events: int
    in_flight_at_kills: int
    answers_lost: int
    broken: tuple[str, ...]


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("embedded", "aws"), default=Plan.engine)
    parser.add_argument("--audio", choices=("upload", "presign"), default=Plan.audio, help="presign: S3 without faults")
    parser.add_argument("--replicas", type=int, default=Plan.replicas, help="killed in turn")
    parser.add_argument("--recordings", type=int, default=Plan.recordings)
    parser.add_argument("--kills", type=int, default=Plan.kills)
    parser.add_argument("--combine", action="store_true", help="four prompts in two requests, one of them structured")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    asked = parser.parse_args()
    plan = Plan(**vars(asked))
    with tempfile.TemporaryDirectory() as folder:
        outcome = rampage(plan, Path(folder), tell=lambda line: print(line, flush=True))
    print(json.dumps(outcome.totals, indent=2))
    print(f"{outcome.events} events; {outcome.in_flight_at_kills} answers in flight at {plan.kills} kills")
    print(f"{outcome.answers_lost} answers whose delivery the vendor's faults cut off")
    for sentence in outcome.broken:
        print(f"BROKEN: {sentence}")
    print("the books do not balance" if outcome.broken else "the books balance")
    return 1 if outcome.broken else 0


def rampage(plan: Plan, folder: Path, tell: Callable[[str], object] = lambda _: None) -> Outcome:
    """Drop, kill, restart, wait for the last event, and audit."""
    dice = random.Random(plan.seed)
    vendor = replace(QUICK, gateway_limit=1_000_000, answer_seconds=ANSWER_SECONDS, seed=plan.seed)
    with running(vendor) as url, _premises(plan, folder, url) as premises, contextlib.ExitStack() as serving:
        set_faults(url, *_misfortunes(plan), seed=plan.seed)
        if plan.combine:
            premises.pipelines(COMBINED)
        ports = [free_port() for _ in range(plan.replicas)]
        serving.enter_context(balancing(premises.port, ports))
        replicas = [serving.enter_context(Replica(premises, port)) for port in ports]
        in_flight = 0
        dropped = 0
        for kill in range(plan.kills + 1):
            share = plan.recordings * (kill + 1) // (plan.kills + 1)
            for number in range(dropped, share):
                premises.drop(f"{number % 7}/call-{number}.wav", f"Caller {number} speaks.", f"Agent {number} helps.")
            dropped = share
            if kill == plan.kills:
                break
            replica = replicas[kill % plan.replicas]
            replica.started()
            time.sleep(dice.uniform(0.5, 2.5) * plan.replicas)
            replica.kill()
            # What was billed and is stored nowhere was lost by this kill or one before, or is on its way elsewhere.
            billed = _billed(url)
            unstored = billed - sum(len(premises.keys(part)) for part in plan.arrived) - _answers_lost(url)
            in_flight = max(in_flight, unstored)
            replica.start()
            told = len(premises.events())
            tell(f"kill {kill + 1}: {told} of {dropped} told, {in_flight} answers were in flight so far")
        _wait(premises, plan, replicas)
        lost = _answers_lost(url)
        clear_faults(url)
        return _audit(plan, premises, in_flight, lost)


@contextlib.contextmanager
def _premises(plan: Plan, folder: Path, url: str) -> Iterator[Premises]:
    """On the engines that the plan asks for; before AWS's stands a proxy that fails as AWS does."""
    patient = {"AFTERWORD_RECONCILE_AFTER": "4", "AFTERWORD_ADOPT_WITHIN": "5", "AFTERWORD_LEASE": "4"}
    if plan.engine == "embedded":
        yield Premises(folder, url, **patient)
        return
    with emulating(folder / "emulator.log") as emulator, failing(emulator.url, folder / "proxy.log") as proxy:
        premises = Cloud(folder, url, emulator, **patient, **emulator.environment)
        premises.environment |= {"AWS_ENDPOINT_URL": proxy.url, "AFTERWORD_AUDIO": plan.audio}
        if plan.audio == "presign":
            # A URL is signed for the host that it names, and the proxy passes another one on: S3 is asked directly.
            premises.environment |= {"AWS_ENDPOINT_URL_S3": emulator.url}
        proxy.rules(*_aws_misfortunes(plan))
        yield premises


class Replica:
    """One process of the service, to be killed and started again."""

    def __init__(self, premises: Premises, port: int) -> None:
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("AFTERWORD_", "ASSEMBLYAI_"))}
        own = {"AFTERWORD_PORT": str(port), "AFTERWORD_OPS_PORT": str(free_port()), "AFTERWORD_LOG_FORMAT": "json"}
        self._environment = ours | premises.environment | own
        self._folder = premises.folder
        self._log = premises.folder / f"service-{port}.log"
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._begins = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                env=self._environment,
                cwd=self._folder,
                stderr=log,
                stdout=log,
            )

    def started(self) -> None:
        """Returns once it has begun to work: importing takes longer than a kill should wait."""
        ends = time.monotonic() + STARTS_WITHIN
        while b"service.started" not in self._log.read_bytes()[self._begins :]:
            assert time.monotonic() < ends, f"it did not start: {self._log}"
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


def _misfortunes(plan: Plan) -> list[dict[str, Any]]:
    """The rules of the fault dial; each kind of failure has its part of the share."""
    part = plan.failing / 4
    failing = [
        {"on": call, "probability": part, **do}
        for call in CALLS
        for do in (
            {"do": "status", "status": 503},
            {"do": "status", "status": 429, "retry_after": 1},
            {"do": "reset"},
            {"do": "lose_answer"},
        )
    ]
    return [
        {"on": "submit", "do": "take", "from": 0.05, "to": 1.5},
        {"on": "webhook", "do": "lose", "probability": plan.lost},
        {"on": "webhook", "do": "duplicate", "n": 2, "gap": 0.1, "probability": 0.3},
        {"on": "webhook", "do": "delay", "from": 0.0, "to": 2.0, "probability": 0.5},
        *failing,
    ]


def _aws_misfortunes(plan: Plan) -> list[dict[str, Any]]:
    """The rules of the proxy: calls refused, delayed, cut off before, and cut off after they were carried out."""
    part = plan.failing / 4
    lost = {"response": {"abort_frac": 0.3}}
    return [
        {"service": "dynamodb", "probability": part, "error": {"code": "ProvisionedThroughputExceededException"}},
        {"service": "dynamodb", "probability": part, **lost},
        {"service": "s3", "operation": "PutObject", "probability": part, **lost},
        {"service": "s3", "probability": part, "error": {"code": "SlowDown", "status": 503}},
        {"service": "sns", "probability": part, "error": {"code": "ThrottledException"}},
        {"service": "sns", "probability": part, **lost},
        {"service": "sqs", "probability": part, **lost},
        {"service": "*", "probability": part, "reset": True},
        {"service": "*", "probability": part, "latency": {"min": 50, "max": 500}},
    ]


def _billed(url: str) -> int:
    """The answers billed, once the vendor is through with what it was asked (if others ask on: after a while)."""
    ends = time.monotonic() + QUIET_WITHIN
    quiet = 0
    while True:
        time.sleep(ANSWER_SECONDS)
        found = ledger(url)
        refused = sum(each["count"] for each in found["refused"] if each["on"] == "ask")
        quiet = quiet + 1 if found["calls"].get("ask", 0) == len(found["asks"]) + refused else 0
        # On a busy machine what was sent before the kill may take some looks to arrive.
        if quiet == QUIET_LOOKS or time.monotonic() > ends:
            return int(found["totals"]["asks_billed"])


def _answers_lost(url: str) -> int:
    """Answers of the Gateway that were billed and cut off by the dial: nobody could know of them."""
    return sum(rule["applied"] for rule in faults(url) if rule["on"] == "ask" and rule["do"] == "lose_answer")


def _wait(premises: Premises, plan: Plan, replicas: Sequence[Replica]) -> None:
    ends = time.monotonic() + plan.within
    while (
        len({event["id"] for event in premises.events()}) < plan.recordings
        and time.monotonic() < ends
        and all(replica.process.poll() is None for replica in replicas)
    ):
        time.sleep(0.2)


def _audit(plan: Plan, premises: Premises, in_flight: int, lost: int) -> Outcome:
    found = ledger(premises.standin)
    events = premises.events()
    broken = []
    ids = {event["id"] for event in events}
    if len(ids) != plan.recordings:
        broken.append(f"{len(ids)} event ids for {plan.recordings} recordings")
    if incomplete := [event["subject"] for event in events if event["data"]["outcome"] != "complete"]:
        broken.append(f"{len(incomplete)} recordings did not complete, such as {incomplete[0]}")
    whole = [json.loads(premises.stored(key)) for key in premises.keys("/result.json")]
    if len(whole) != plan.recordings or any(len(result["answers"]) != plan.answers for result in whole):
        broken.append(f"{len(whole)} results, or some without all {plan.answers} answers")
    if twice := found["totals"]["paid_twice"]["transcripts"]:
        broken.append(f"{twice} transcripts were paid twice")
    again = found["totals"]["asks_billed"] - plan.recordings * plan.requests
    if again > in_flight + lost:
        broken.append(
            f"{again} answers were billed again, more than the {in_flight} in flight at kills and {lost} cut off"
        )
    return Outcome(
        totals=found["totals"],
        events=len(events),
        in_flight_at_kills=in_flight,
        answers_lost=lost,
        broken=tuple(broken),
    )


if __name__ == "__main__":
    sys.exit(main())
