"""One of four prompts changed, half of the transcripts deleted at the vendor, everything killed on the way.

    python -m tests.longrun.reanalysis --recordings 100

Recordings go all the way; then one prompt is changed, `afterword jobs reanalyze` is killed while it sends them on, the
service while it asks, and both are begun again. The ledger must show one request for each recording and no
transcription. Prints what the ledger shows; a quarter of a minute with a hundred. Exits 1 if a figure is wrong.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from tests.longrun.processes import Process, eventually, rows
from tests.premises import Premises
from tests.standin import KEY, QUICK, clear_faults, ledger, running, set_faults, totals

PROMPTS = ("summary", "mood", "topics", "title")
CHANGED = "in three words"


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the ledger counted from the change on, and what the runs left behind."""

    recordings: int
    sent_when_killed: int
    asked_when_killed: int
    requests: int
    refused: int
    transcriptions: int
    paid_twice: int
    second_runs: int
    complete: int
    answers_reused: int

    @property
    def sound(self) -> bool:
        return (
            0 < self.sent_when_killed < self.recordings
            and 0 < self.asked_when_killed < self.sent_when_killed
            and self.requests == self.second_runs == self.complete == self.recordings
            and self.answers_reused == (len(PROMPTS) - 1) * self.recordings
            and self.transcriptions == self.paid_twice == 0
        )


def pipelines(title: str) -> str:
    asked = {"summary": "Summarize it.", "mood": "Name the mood.", "topics": "List the topics.", "title": title}
    prompts = "".join(
        f'[[pipelines.prompts]]\nname = "{name}"\nprompt = "{asked[name]} {{{{ transcript }}}}"\n' for name in PROMPTS
    )
    head = '[defaults]\nmodel = "claude-sonnet-4-6"\nmax_tokens = 200\n[[pipelines]]\nname = "calls"\n'
    return f'{head}match = ["**/*.wav"]\n{prompts}'


def kept(folder: Path, url: str, recordings: int) -> Books:
    """The books after it all."""
    premises = Premises(folder, url, AFTERWORD_LEASE="2")
    premises.pipelines(pipelines("Give it a title."))
    with Process(premises, "before"):
        for number in range(recordings):
            premises.drop(f"{number:04}.wav", f"This is number {number}.", "I hear you.")
        eventually(lambda: all_ended(premises, recordings), within=300)
    half_deleted(url)
    before = ledger(url)
    premises.pipelines(pipelines(f"Give it a title {CHANGED}."))
    sent = sent_and_killed(premises)
    enough = max(1, sent // 2)
    # From then on the allowance is spent: whoever is killed now has no answer on its way.
    spent = {"status": 429, "message": "too many requests for this action", "retry_after": 1}
    set_faults(url, {"on": "ask", "do": "status", "match": {"contains": CHANGED}, "skip": enough, **spent})
    with Process(premises, "killed") as killed:
        eventually(lambda: len(premises.files("runs/2/answers/title.json")) == enough)
        eventually(lambda: totals(url)["refused"] > before["totals"]["refused"])
        killed.kill()
    clear_faults(url)
    with Process(premises, "after"):
        output(command(premises, "--wait"))
        eventually(lambda: all_ended(premises, recordings), within=300)
    assert json.loads(output(command(premises, "--json")))["jobs"] == []
    return books(premises, before, sent, enough)


def half_deleted(url: str) -> None:
    """Every second transcript is deleted at the vendor, unknown to us."""
    with httpx2.Client(base_url=url, headers={"authorization": KEY}) as vendor:
        for sent in ledger(url)["submissions"][::2]:
            vendor.delete(f"/v2/transcript/{sent['transcript_id']}").raise_for_status()


def sent_and_killed(premises: Premises) -> int:
    """How many recordings were on their next run when the command was killed."""
    with command(premises) as sending:
        assert sending.stdout is not None
        assert sending.stdout.readline()
        sending.kill()
    return sum(row.facts.get("run") == 2 for row in rows(premises).values())


def command(premises: Premises, *more: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "service", "jobs", "reanalyze", "--pipeline", "calls", "--yes", *more]
    environment = Process(premises).environment
    return subprocess.Popen(words, env=environment, cwd=premises.folder, stdout=subprocess.PIPE)


def output(process: "subprocess.Popen[bytes]") -> bytes:
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return printed


def all_ended(premises: Premises, recordings: int) -> bool:
    found = rows(premises)
    return len(found) == recordings and all(row.ended for row in found.values())


def books(premises: Premises, before: dict[str, Any], sent: int, asked: int) -> Books:
    found = ledger(premises.standin)
    # Whoever is killed while it tells tells it again, under the same id.
    runs = {event["id"]: event["data"] for event in premises.events() if event["data"]["run"] > 1}.values()
    firsts, seconds = (requested(premises, f"**/{place}result.json") for place in ("job_*/", "runs/2/"))
    return Books(
        recordings=len(before["submissions"]),
        sent_when_killed=sent,
        asked_when_killed=asked,
        requests=len(found["asks"]) - len(before["asks"]),
        refused=found["totals"]["refused"] - before["totals"]["refused"],
        transcriptions=len(found["submissions"]) - len(before["submissions"]),
        paid_twice=found["totals"]["paid_twice"]["answers"],
        second_runs=len(runs),
        complete=sum(run["run"] == 2 and run["outcome"] == "complete" for run in runs),
        answers_reused=len(firsts & seconds),
    )


def requested(premises: Premises, pattern: str) -> set[str]:
    """The vendor's ids of the requests that these results are made of."""
    results = [json.loads(path.read_bytes()) for path in premises.files(pattern)]
    return {each for result in results for each in result["request_ids"].values()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=100)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place, running(replace(QUICK, gateway_limit=1_000_000)) as url:
        found = kept(Path(place), url, asked.recordings)
    print(
        f"{found.recordings} recordings, every second one deleted at the vendor, one of {len(PROMPTS)} prompts changed"
    )
    print(
        f"killed with {found.sent_when_killed} sent on, of which {found.asked_when_killed} were answered; begun again"
    )
    print(f"{found.requests} requests answered, {found.transcriptions} transcriptions, {found.paid_twice} paid twice")
    print(f"{found.second_runs} second runs, {found.complete} complete, {found.answers_reused} answers used again")
    return 0 if found.sound else 1


if __name__ == "__main__":
    sys.exit(main())
