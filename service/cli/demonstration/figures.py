"""What it came to: figures measured in the stand-in's ledger, the results and the events, and whether they agree."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.cli.demonstration.samples import Sample
from service.cli.demonstration.vendor import Ledger, Troubles
from service.cli.figures import count
from service.domain.job import Outcome
from service.domain.pipeline import Pipelines

STARTS: Final = 2
"""Of the service: it is killed once."""

Event = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What lies in the folder once all is done. `transcripts` and `answers` are files among the results."""

    events: Sequence[Event]
    transcripts: int
    answers: int

    @property
    def requests(self) -> int:
        """Requests to language models, as the events tell: prompts may share one, and one prompt may take several."""
        once = {event["id"]: event["data"]["answers"] for event in self.events}
        return sum((answer.get("usage") or {}).get("requests", 0) for told in once.values() for answer in told.values())

    def of(self, sample: Sample) -> Sequence[Event]:
        return [event for event in self.events if event["data"]["job_id"] == sample.job_id]


def outcomes(folder: Path) -> Outcomes:
    """Read the folder of a demonstration."""
    events = folder / "events.jsonl"
    lines = events.read_bytes().splitlines() if events.exists() else []
    return Outcomes(
        events=[json.loads(line) for line in lines],
        transcripts=sum(1 for _ in (folder / "results").rglob("transcript.json")),
        answers=sum(1 for _ in (folder / "results").rglob("answers/*.json")),
    )


def told(found: Outcomes, ledger: Ledger) -> str:
    """The ledger in one line."""
    recovered = count(len(_recovered(found, ledger)), "lost callback")
    refused = count(ledger.forgeries_refused, "forgery", "forgeries")
    return f"{_done(found)}, {ledger.paid_twice} paid twice, {recovered} recovered, {refused} refused"


def told_live(found: Outcomes) -> str:
    """The same of a service whose vendor shows no ledger."""
    usage = [answer.get("usage") or {} for event in found.events for answer in event["data"]["answers"].values()]
    tokens = {name: sum(each.get(name, 0) for each in usage) for name in ("input_tokens", "output_tokens")}
    return f"{_done(found)}, {tokens['input_tokens']:,} tokens in, {tokens['output_tokens']:,} out"


def unsound(samples: Sequence[Sample], pipelines: Pipelines, found: Outcomes) -> Sequence[str]:
    """What is not as promised of the results and events, in sentences."""
    broken = []
    for sample in samples:
        events = found.of(sample)
        if len({event["id"] for event in events}) != 1:
            broken.append(f"{sample.key} has {count(len(events), 'event')} instead of one")
        for event in events[:1]:
            broken += _unfinished(sample, event["data"], len(sample.prompts(pipelines)))
    return broken


def unbalanced(
    samples: Sequence[Sample], found: Outcomes, ledger: Ledger, troubles: Troubles, starts: int
) -> Sequence[str]:
    """Where the vendor's ledger and what was brought about differ from what lies here, in sentences."""
    lost = 0 if troubles.lost is None else 1
    compared = (
        ("transcripts billed", ledger.transcripts, "recordings", len(samples)),
        ("transcripts billed", ledger.transcripts, "transcripts among the results", found.transcripts),
        ("requests to models billed", ledger.requests, "told in the events", found.requests),
        ("paid twice", ledger.paid_twice, "allowed", 0),
        ("lost callbacks recovered", len(_recovered(found, ledger)), "lost", lost),
        ("forgeries refused", ledger.forgeries_refused, "sent", ledger.forgeries),
        ("forgeries sent", ledger.forgeries, "meant", 1),
        ("callbacks duplicated", len(ledger.duplicated), "meant", 1),
        ("starts of the service", starts, "meant", STARTS),
    )
    return [f"{has} {what}, but {wanted} {against}" for what, has, against, wanted in compared if has != wanted]


def _done(found: Outcomes) -> str:
    recordings = len({event["subject"] for event in found.events})
    return (
        f"{count(recordings, 'recording')}: {count(found.transcripts, 'transcript')}, {count(found.answers, 'answer')}"
    )


def _recovered(found: Outcomes, ledger: Ledger) -> set[str]:
    complete = {
        event["data"]["transcript"]["id"]
        for event in found.events
        if event["data"]["transcript"] and event["data"]["outcome"] != Outcome.FAILED
    }
    return complete & set(ledger.lost)


def _unfinished(sample: Sample, data: Mapping[str, Any], asked: int) -> Sequence[str]:
    if data["outcome"] == Outcome.FAILED:
        return [f"{sample.key} failed: {data['error']['message']}"]
    failed = {name: answer["error"] for name, answer in data["answers"].items() if "error" in answer}
    if failed or data.get("skipped"):
        return [f"{sample.key}, prompt {name}: {error['message']}" for name, error in failed.items()]
    answered = len(data["answers"])
    return [] if answered == asked else [f"{sample.key} has {count(answered, 'answer')} to {count(asked, 'prompt')}"]
