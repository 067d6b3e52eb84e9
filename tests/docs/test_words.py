"""The repository stands alone: it names nothing of the place where it was written, and no package host."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

# One letter of each stands in a class, so that this file does not hold what it forbids.
FORBIDDEN = {
    "a path of a workplace": r"(?<![\w.$}])/(?:w[o]rk|tmp/br[i]ef|r[o]ot)/",
    "a folder beside the repository": r"\bsh[a]red/|style-an[c]hors|assemblyai-a[p]i\.md|local-a[w]s",
    "a page that is not here": r"\bdes[i]gn(?:\.md| §)|\bdes[i]gn p[a]ge",
    "who wrote it": r"\bhelper ses[s]ion|\bcl[a]ude c[o]de|\banthrop[i]c\.com|\bco-author[e]d-by",
    "a number of a task": r"\biss[u]e #?\d",
}
TEXT = {".md", ".py", ".toml", ".txt", ".html", ".json", ".lock", ".yml", ".yaml", ""}


def files() -> list[Path]:
    """Whatever is, or may be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_names_the_place_where_it_was_written(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.IGNORECASE)
    found = []
    for path in files():
        if path.suffix in TEXT:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [
                f"{path.relative_to(ROOT)}:{at}: {line}" for at, line in enumerate(lines, 1) if pattern.search(line)
            ]
    assert found == []


def test_the_locks_name_no_package_host() -> None:
    locks = [path for path in files() if path.suffix == ".lock"]
    assert locks
    assert all("://" not in path.read_text(encoding="utf-8") for path in locks)
