"""The pages of the documentation, and what the tests read in them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "infra").rglob("*.md")))

_FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", read(page))


def blocks(*languages: str) -> Sequence[Block]:
    """Every fenced block in one of these languages, of all pages."""
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = read(page)
    for found in _FENCE.finditer(text):
        yield Block(page=page, line=text.count("\n", 0, found.start()) + 1, language=found[1], text=found[2])


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its kind or above."""
    marks, _, _ = heading.partition(" ")
    text = read(page)
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    following = re.search(rf"^#{{1,{len(marks)}}} ", text[start:], re.MULTILINE)
    return text[start : start + following.start()] if following else text[start:]


def table(text: str, first: str) -> Sequence[Sequence[str]]:
    """The rows of the table whose first column is headed `first`, cells stripped."""
    lines = text.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def code(cell: str) -> Sequence[str]:
    """What a cell has between backticks."""
    return re.findall(r"`([^`\n]+)`", cell)
