"""What was asked of the stand-in, what it delivered, and what all that would have cost."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from service.simulator.wire import Json, stamp

KEPT: Final = 200_000
"""Entries of each kind that are kept; older ones are dropped from the lists, never from the totals."""


class Ledger:
    """Everything that a test or an operator counts. Entries are dicts, written here and shown as they are."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._submissions: deque[Json] = deque(maxlen=KEPT)
        self._uploads: deque[Json] = deque(maxlen=KEPT)
        self._deliveries: deque[Json] = deque(maxlen=KEPT)
        self._asks: deque[Json] = deque(maxlen=KEPT)
        self._calls: Counter[str] = Counter()
        self._refused: Counter[tuple[str, int, str, str]] = Counter()
        self._unknown: Counter[str] = Counter()
        self._heard: set[str] = set()
        self._paid_audio: Counter[str] = Counter()
        self._paid_prompts: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._callbacks: Counter[str] = Counter()
        self._seconds = 0

    def called(self, on: str) -> None:
        self._calls[on] += 1

    def refused(self, on: str, status: int, cause: str, text: str) -> None:
        """`cause`: `fault` for the dial's doing, `rule` for the vendor's own."""
        self._refused[on, status, cause, text[:200]] += 1

    def ignored(self, keys: Iterable[str]) -> None:
        """Body keys that the vendor does not know."""
        for key in keys:
            if len(self._unknown) < KEPT or key in self._unknown:
                self._unknown[key[:100]] += 1

    def uploaded(self, url: str, sha256: str, size: int) -> Json:
        entry: Json = {"upload_url": url, "audio_sha256": sha256, "bytes": size, "answer_seen": True, "at": stamp()}
        self._uploads.append(entry)
        return entry

    def submitted(self, request: Json) -> Json:
        """`billed_seconds` stays 0 until the transcript completes: errors are not billed."""
        entry: Json = {
            "transcript_id": "",
            "audio_url": request["audio_url"],
            "audio_sha256": None,
            "webhook_url": request.get("webhook_url"),
            "status": "queued",
            "billed_seconds": 0,
            "answer_seen": True,
            "at": stamp(),
        }
        self._submissions.append(entry)
        return entry

    def fetched(self, entry: Json, sha256: str) -> None:
        entry["audio_sha256"] = sha256

    def billed(self, entry: Json, seconds: int) -> None:
        entry["billed_seconds"] = seconds
        self._seconds += seconds
        self._paid_audio[entry["audio_sha256"] or entry["audio_url"]] += 1

    def ended(self, entry: Json, status: str) -> None:
        entry["status"] = status
        self._heard.add(entry["audio_sha256"] or entry["audio_url"])

    def asked(self, entry: Json) -> None:
        """An answer of the Gateway; `prompt_digest` covers the rendered messages and the model."""
        entry["at"] = stamp()
        self._asks.append(entry)
        if entry["billed"]:
            self._paid_prompts[entry["prompt_digest"]] += 1
            self._tokens["input"] += entry["input_tokens"]
            self._tokens["output"] += entry["output_tokens"]

    def delivered(self, entry: Json) -> None:
        """One attempt of a webhook."""
        entry["at"] = stamp()
        self._deliveries.append(entry)
        self._callbacks["attempts"] += 1
        accepted = entry["status"] is not None and entry["status"] // 100 == 2  # noqa: PLR2004 -- any 2xx
        if entry["forged"]:
            self._callbacks["forged"] += 1
            self._callbacks["forged_accepted" if accepted else "forged_refused"] += 1
        elif entry["duplicate"]:
            self._callbacks["duplicated"] += 1
        elif accepted:
            self._callbacks["delivered"] += 1

    def lost(self, transcript_id: str, kind: str, why: str) -> None:
        """A webhook that will never arrive."""
        entry: Json = {"transcript_id": transcript_id, "attempt": 0, "status": None, "error": why, "kind": kind}
        self._deliveries.append(entry | {"forged": False, "duplicate": False, "lost": True, "at": stamp()})
        self._callbacks["lost"] += 1

    def document(self) -> Json:
        return {
            "submissions": list(self._submissions),
            "uploads": list(self._uploads),
            "deliveries": list(self._deliveries),
            "asks": list(self._asks),
            "refused": [
                {"on": on, "status": status, "cause": cause, "text": text, "count": count}
                for (on, status, cause, text), count in self._refused.items()
            ],
            "unknown_keys": dict(self._unknown),
            "calls": dict(self._calls),
            "totals": self.totals(),
        }

    def totals(self) -> Json:
        names = ("delivered", "lost", "duplicated", "forged", "forged_refused", "forged_accepted", "attempts")
        return {
            "recordings": len(self._heard),
            "submissions": sum(1 for _ in self._submissions),
            "transcripts_billed": self._paid_audio.total(),
            "audio_seconds": self._seconds,
            "asks_billed": self._paid_prompts.total(),
            "tokens": {**self._tokens, "input": self._tokens["input"], "output": self._tokens["output"]},
            "paid_twice": {
                "transcripts": sum(1 for count in self._paid_audio.values() if count > 1),
                "answers": sum(1 for count in self._paid_prompts.values() if count > 1),
            },
            "callbacks": {name: self._callbacks[name] for name in names},
            "refused": sum(self._refused.values()),
        }
