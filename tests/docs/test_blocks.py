"""Every block of code in the documentation does what it is shown for."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.domain.pipelines.file import load
from service.domain.schemas import event_schema
from service.simulator.rules import parse_rule
from service.simulator.scripts import from_script
from tests.docs.pages import Block, blocks
from tests.unit.event_samples import samples

LANGUAGES = {"", "console", "json", "mermaid", "python", "sh", "toml"}
CONSUMER = "# consumer.py"
COMPLETE = "complete"


def named(block: Block) -> str:
    return str(block)


def run(code: str, folder: Path, stdin: bytes = b"") -> bytes:
    command = [sys.executable, "-I", "-c", code]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, timeout=30, check=True).stdout


def test_no_block_is_of_a_kind_that_nobody_checks() -> None:
    assert {block.language for block in blocks(*LANGUAGES)} <= LANGUAGES
    assert blocks("toml")
    assert blocks("json")
    assert blocks("python")


@pytest.mark.parametrize("block", blocks("toml"), ids=named)
def test_a_pipelines_file_that_is_shown_loads_without_a_warning(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(block.text, encoding="utf-8")
    loaded = load(path)
    assert loaded.pipelines.pipelines
    assert loaded.warnings == ()


@pytest.mark.parametrize("block", blocks("json"), ids=named)
def test_json_that_is_shown_is_what_it_says(block: Block) -> None:
    shown: dict[str, Any] = json.loads(block.text)
    if "specversion" in shown:
        Draft202012Validator(event_schema()).validate(shown)
    elif "rules" in shown:
        for rule in shown["rules"]:
            parse_rule(rule, itertools.count(1))
    elif "outcome" in shown:
        # A filter policy: attributes that every event has, or that a pipeline adds, and the values that are wanted.
        assert {"type", "pipeline", "outcome"} & shown.keys()
        assert all(isinstance(values, list) for values in shown.values())
    else:
        assert [each.speaker for each in from_script(shown).utterances] == ["A", "B"]


@pytest.mark.parametrize("block", [each for each in blocks("python") if CONSUMER not in each.text], ids=named)
def test_python_that_is_shown_runs(block: Block, tmp_path: Path) -> None:
    run(block.text, tmp_path)


class TestTheConsumer:
    """The recipe that the README gives to subscribers."""

    @pytest.fixture
    def code(self) -> str:
        (block,) = [each for each in blocks("python") if CONSUMER in each.text]
        return block.text

    @pytest.fixture
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(samples()[COMPLETE].body)
        return event

    def line(self, event: dict[str, Any], run: int) -> bytes:
        return json.dumps(event | {"id": f"id-{run}", "data": event["data"] | {"run": run}}).encode() + b"\n"

    def latest(self, folder: Path) -> str:
        code = "import sqlite3; print(*sqlite3.connect('consumed.db').execute('SELECT run FROM latest'))"
        return run(code, folder).decode().strip()

    def test_it_takes_an_event_once_however_often_it_is_told(
        self, code: str, event: dict[str, Any], tmp_path: Path
    ) -> None:
        line = self.line(event, 1)
        assert run(code, tmp_path, line * 3).count(b"complete calls/") == 1
        assert run(code, tmp_path, line) == b"", "nor after a restart"

    def test_the_highest_run_counts_whatever_the_order(self, code: str, event: dict[str, Any], tmp_path: Path) -> None:
        told = self.line(event, 3) + self.line(event, 1) + self.line(event, 2)
        assert run(code, tmp_path, told).count(b"\n") == 3
        assert self.latest(tmp_path) == "(3,)"

    def test_half_a_line_does_not_stop_it(self, code: str, event: dict[str, Any], tmp_path: Path) -> None:
        assert run(code, tmp_path, b'{"id": "ha\n' + self.line(event, 1)).count(b"\n") == 1


def test_the_backup_that_is_shown_copies_what_is_in_the_wal(tmp_path: Path) -> None:
    (command,) = [line for block in blocks("sh") for line in block.text.splitlines() if ".backup(" in line]
    code = command.partition("'")[2].rpartition("'")[0]
    busy = (
        "import sqlite3, subprocess, sys; db = sqlite3.connect('afterword.db', isolation_level=None);"
        " db.execute('PRAGMA journal_mode = WAL'); db.execute('CREATE TABLE kept (it)');"
        f" subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    )
    run(busy, tmp_path)
    assert run("import sqlite3; print(*sqlite3.connect('backup.db').execute('PRAGMA table_list(kept)'))", tmp_path)
