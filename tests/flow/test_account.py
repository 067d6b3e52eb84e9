"""The account runs out in the middle and is topped up: all is parked, told once, probed singly, and completes."""

import time
from pathlib import Path

import pytest

from tests.longrun.processes import Process, audit, eventually, rows
from tests.premises import Premises
from tests.standin import clear_faults, ledger, set_faults, totals

JOBS = 20
WATCHED = 3.0
PROBES_AT_MOST = 2
"""At one gate while it is watched: the first two seconds after it was shut, the next four later."""


@pytest.mark.parametrize(("trouble", "gates"), [("key", {"transcription", "gateway"}), ("balance", {"balance"})])
def test_the_account_runs_out_in_the_middle_and_is_topped_up(
    tmp_path: Path, standin: str, trouble: str, gates: set[str]
) -> None:
    premises = Premises(tmp_path, standin)
    set_faults(standin, {"on": "submit", "do": "take", "from": 0.1, "to": 0.6})
    with Process(premises) as service:
        for number in range(JOBS // 2):
            premises.drop(f"early/{number}.wav", f"Number {number} was early.")
        eventually(lambda: len(premises.events()) >= 2)
        set_faults(standin, {"on": "any" if trouble == "key" else "submit", "do": "account", "trouble": trouble})
        for number in range(JOBS // 2):
            premises.drop(f"late/{number}.wav", f"Number {number} was late.")
        eventually(lambda: waiting(premises) + len(premises.events()) == JOBS)
        refused = totals(standin)["refused"]
        time.sleep(WATCHED)
        assert totals(standin)["refused"] - refused <= PROBES_AT_MOST * len(gates)
        parked = service.lines("account.parked")
        assert {line["gate"] for line in parked} <= gates
        assert len(parked) == len({line["gate"] for line in parked}) > 0, "told more than once"
        standing = rows(premises)
        assert {row.facts.get("trouble") for row in standing.values()} == {None}
        assert {str(row.facts.get("prompt_trouble") or "") for row in standing.values()} == {""}
        clear_faults(standin)
        eventually(lambda: len(premises.events()) == JOBS)
        assert len(service.lines("account.parked")) == len(parked)
        assert {line["gate"] for line in service.lines("account.resumed")} == {line["gate"] for line in parked}
    found = audit(premises, JOBS)
    assert {refusal["status"] for refusal in ledger(standin)["refused"]} <= {400, 401}
    assert found["totals"]["asks_billed"] == 3 * JOBS


def waiting(premises: Premises) -> int:
    return sum(row.parked is not None for row in rows(premises).values())
