"""The stand-in as the demonstration sees it: its fault dial and its ledger."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from service.cli.demonstration.samples import Sample

CALLBACK_GAP: Final = 1.0
"""Seconds until the stand-in repeats a callback that nobody answered."""

KNOBS: Final[Mapping[str, str]] = {
    "process-seconds": "1",
    "answer-seconds": "0.6",
    "webhook-gap-seconds": str(CALLBACK_GAP),
    "gateway-limit": "300",
}
TAKES: Final = {"duplicated": 1.2, "missed": 5.5, "lost": 3.5}
"""Seconds that each takes to transcribe: one is to be through before the service is killed, one to end meanwhile."""

RECONCILE_AFTER: Final = 9.0
UNAUTHORIZED: Final = 401


@dataclass(frozen=True, kw_only=True)
class Troubles:
    """Which recordings are made trouble for; with too few of them some troubles are left out."""

    duplicated: Sample
    """Its callback is forged, too."""
    missed: Sample | None
    """Done while the service is dead."""
    lost: Sample | None

    def rules(self) -> Sequence[Mapping[str, object]]:
        """For the fault dial, as its documentation has them."""
        called = {"match": {"job": self.duplicated.job_id}, "times": 1}
        rules: list[Mapping[str, object]] = [
            {"on": "webhook", "do": "forge", **called},
            {"on": "webhook", "do": "duplicate", "gap": 0.7, **called},
        ]
        if self.lost is not None:
            rules.append({"on": "webhook", "do": "lose", "match": {"job": self.lost.job_id}, "times": 1})
        for sample, kind in ((self.duplicated, "duplicated"), (self.missed, "missed"), (self.lost, "lost")):
            if sample is not None:
                rules.append({"on": "submit", "do": "take", "seconds": TAKES[kind], "match": {"job": sample.job_id}})
        return rules


def troubles(samples: Sequence[Sample]) -> Troubles:
    """Who suffers what. The stand-in's own come first: how long they take is known."""
    known = [sample for sample in samples if not sample.own]
    return Troubles(
        duplicated=(known or samples)[0],
        missed=known[1] if len(known) > 2 else None,  # noqa: PLR2004  # one for each trouble
        lost=known[-1] if len(known) > 1 else None,
    )


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What the stand-in has counted; the lists name transcripts' ids."""

    transcripts: int
    requests: int
    paid_twice: int
    lost: Sequence[str]
    unanswered: Sequence[str]
    duplicated: Sequence[str]
    forgeries: int
    forgeries_refused: int
    jobs: Mapping[str, str]
    """Transcripts' ids by the callback address that they were submitted with."""

    def of(self, sample: Sample | None) -> str | None:
        """The id of the sample's transcript, once it was submitted."""
        return None if sample is None else next((t for url, t in self.jobs.items() if sample.job_id in url), None)


class StandIn(AbstractContextManager["StandIn"]):
    """Asks the stand-in; no proxy of the environment stands between."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx2.Client(base_url=url, timeout=5.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def misbehave(self, rules: Sequence[Mapping[str, object]]) -> None:
        self._client.post("/simulator/faults", json={"rules": list(rules)}).raise_for_status()

    def ledger(self) -> Ledger:
        return _ledger(self._client.get("/simulator/ledger").raise_for_status().json())


def _ledger(document: Mapping[str, Any]) -> Ledger:
    totals, deliveries = document["totals"], document["deliveries"]
    forged = [each for each in deliveries if each["forged"]]
    genuine = [each for each in deliveries if not each["forged"]]
    return Ledger(
        transcripts=totals["transcripts_billed"],
        requests=totals["asks_billed"],
        paid_twice=totals["paid_twice"]["transcripts"] + totals["paid_twice"]["answers"],
        lost=[each["transcript_id"] for each in genuine if each["lost"]],
        unanswered=[each["transcript_id"] for each in genuine if each["status"] is None and not each["lost"]],
        duplicated=[each["transcript_id"] for each in genuine if each["duplicate"] and each["status"] is not None],
        forgeries=len(forged),
        forgeries_refused=sum(each["status"] == UNAUTHORIZED for each in forged),
        jobs={each["webhook_url"] or "": each["transcript_id"] for each in document["submissions"]},
    )
