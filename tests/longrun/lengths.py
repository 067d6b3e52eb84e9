"""Recordings of ten hours are asked about in the memory of a few, however many come at once.

    make lengths
    python -m tests.longrun.lengths --recordings 8 --words 90000

Each is one synthetic transcript of so many words, with speakers, and four prompts: two that leave the text to the LLM
Gateway, one with the speaker text, one conversation. The first model has no room. Printed are the models that
answered, and the service's memory before and at its peak with one recording and with all at once. Exits 1 if a model
without room was asked, an answer is missing, or the peak lies above the bound.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from service.adapters.assemblyai.in_work import MOST
from service.wiring import DOCUMENTS
from tests.longrun.processes import WITHIN, Process
from tests.premises import Premises
from tests.standin import QUICK, ledger, reset, running

DOCUMENT = 86_000_000
"""Bytes that ten hours of words take once they are parsed."""
BOUND = 80_000_000 + 5 * MOST + DOCUMENTS * DOCUMENT
"""Bytes of resident memory, however many recordings come: the process by itself, what is being read of transcripts
(parsed it takes five times as much, for a moment), and the parsed ones that are being worked with."""
ROOMY = "gemini-2.5-flash"
PROMPTS = 4
PIPELINES = f"""
[defaults]
model = "gpt-oss-120b"
max_tokens = 400
fallbacks = ["{ROOMY}"]

[[pipelines]]
name = "hearings"
match = ["**/*.wav"]

[pipelines.transcript]
speaker_labels = true

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the hearing.\\n\\n{{{{ transcript }}}}"

[[pipelines.prompts]]
name = "mood"
prompt = "Name the mood.\\n\\n{{{{ transcript }}}}"

[[pipelines.prompts]]
name = "speakers"
prompt = "Who says what?\\n\\n{{{{ utterances }}}}"

[[pipelines.prompts]]
name = "lesson"
messages = [
  {{ role = "user", content = "What was decided?\\n\\n{{{{ transcript }}}}" }},
  {{ role = "assistant" }},
  {{ role = "user", content = "And what not?" }},
]
"""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Memory in bytes, before so many long recordings came and at most until their events; the models that answered."""

    recordings: int
    before: int
    peak: int
    models: Sequence[str]
    seconds: float


def passed(folder: Path, url: str, recordings: int, words: int) -> Passage:
    """So many recordings at once through a service of its own."""
    folder.mkdir()
    reset(url)
    premises = Premises(folder, url)
    premises.pipelines(PIPELINES)
    with Process(premises) as service:
        before = peak = service.memory()
        began = time.monotonic()
        for number in range(recordings):
            premises.drop(f"{number}.wav", *speech(number, words))
        while told(premises) < recordings:
            assert time.monotonic() - began < WITHIN * recordings, "they did not come through"
            peak = max(peak, service.memory())
            time.sleep(0.01)
        seconds = time.monotonic() - began
    assert {event["data"]["outcome"] for event in premises.events()} == {"complete"}
    asked = [ask["model"] for ask in ledger(url)["asks"]]
    assert len(asked) == recordings * (PROMPTS + 1)
    return Passage(recordings=recordings, before=before, peak=peak, models=sorted(set(asked)), seconds=seconds)


def told(premises: Premises) -> int:
    """How many events are out; one that is just being written is none yet."""
    events = premises.folder / "events.jsonl"
    return events.read_bytes().count(b"\n") if events.exists() else 0


def speech(number: int, words: int) -> list[str]:
    """Turns of sixty words, each of its own."""
    return [
        " ".join(
            f"Turn {turn} of hearing {number} continues about complicated kettles and similar apparatus."
            for _ in range(5)
        )
        for turn in range(words // 60)
    ]


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=8)
    parser.add_argument("--words", type=int, default=90_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, running(replace(QUICK, gateway_limit=100_000)) as url:
        found = [passed(Path(place) / str(count), url, count, asked.words) for count in (1, asked.recordings)]
    for passage in found:
        print(
            f"{passage.recordings:3} of {asked.words:,} words: {passage.before / 1e6:.0f} MB before,"
            f" {passage.peak / 1e6:.0f} MB at its peak, {passage.seconds:.1f} s;"
            f" answered by {', '.join(passage.models)}"
        )
    fits = all(passage.peak <= BOUND and passage.models == [ROOMY] for passage in found)
    print(f"bound {BOUND / 1e6:.0f} MB: {'kept' if fits else 'broken'}")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
