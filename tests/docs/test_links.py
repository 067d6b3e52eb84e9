"""Whatever the documentation names is there: files, headings, tests, targets of make, commands and their options."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, code, prose, read

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"(?:service|tests|docs)/[\w./-]*\w(?:::\w+)?")
BEGINNING = 36
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_and_every_test_that_is_named_exists(page: Path) -> None:
    for text in code(prose(page)):
        if not NAMED.fullmatch(text):
            continue
        file, _, test = text.partition("::")
        assert (ROOT / file).exists(), text
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), text


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_nothing_is_said_twice_on_a_page(page: Path) -> None:
    """Two changes that were brought together leave lines, or rows of a table, that begin alike."""
    lines = [line.strip() for line in prose(page).splitlines() if len(line.strip(" -|:")) > BEGINNING]
    begun = Counter(line[:BEGINNING] for line in lines)
    assert [line for line in lines if begun[line[:BEGINNING]] > 1] == []


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named_there = {word for line in commands() for word in re.findall(r"^make ([a-z]+)", line)}
    assert named_there
    assert named_there <= targets


def test_every_module_that_is_run_exists() -> None:
    for line in commands():
        for module in re.findall(r"python -m (tests\.[\w.]+)", line):
            assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


def commands() -> Iterator[str]:
    """Whatever is shown as a command, in blocks and between backticks."""
    for block in blocks("sh"):
        yield from block.text.splitlines()
    for page in PAGES:
        yield from code(prose(page))


@lru_cache
def usage(*words: str) -> str | None:
    """What `--help` of a command prints; None if there is no such command."""
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    command = [sys.executable, "-m", "service", *words, "--help"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout if ran.returncode == 0 else None


def shown() -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every command of ours that is shown, with its options."""
    found = set()
    for line in commands():
        for call in re.findall(r"(?:^|\s)afterword ((?!afterword\b)(?:[a-z]+)(?:[^|;]*))", line.partition("#")[0]):
            words = call.split()
            depth = 2 if words[0] == "jobs" and len(words) > 1 else 1
            found.add((tuple(words[:depth]), tuple(OPTION.findall(call))))
    return found


@pytest.mark.parametrize(("words", "options"), sorted(shown()))
def test_every_command_and_option_that_is_shown_exists(words: tuple[str, ...], options: tuple[str, ...]) -> None:
    told = usage(*words)
    assert told is not None
    known = set(OPTION.findall(told))
    assert set(options) <= known
