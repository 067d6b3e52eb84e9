"""Where a job's results lie: `{pipeline}/{source key}/{job id}/…`, in a folder or under a prefix of a bucket.

A source key is used as it is, but for what would lead out of the place or into another job's:

- percent-encoded are `.` and `..` as whole names, a slash that no name stands before or behind (at the start, at the
  end, after another slash), NUL, and the first letter of a name that has the form of a job id, so that the first such
  name behind the pipeline is always the job's own folder;
- cut are names and keys that do not fit. What is cut ends in `~` and 16 hex digits of the SHA-256 of what it was.

Whether two source keys come out alike does not matter: their job ids differ.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from service.domain.identity import JOB_ID_DIGITS, JOB_ID_PREFIX, is_job_id
from service.domain.job import JobId

OBJECT_KEY: Final = 1024
"""Bytes in an S3 key at most."""

FOLDER_NAME: Final = 255
"""Bytes in a name at most, on the file systems in use."""

FOLDER_KEY: Final = 3072
"""Bytes below the results folder, so that the whole path stays within the 4,096 of Linux."""

NAME: Final = 64
"""Characters of a pipeline's or prompt's name at most."""

BEHIND_KEY: Final = len(f"/{JOB_ID_PREFIX}{'0' * JOB_ID_DIGITS}/runs/{10**9}/answers/{'x' * NAME}.json")
"""The longest that we put behind a source key; kept free always, so that all files of a job lie together."""

SEPARATOR: Final = re.compile(r"(?<=[^/])/(?=.)", re.DOTALL)
"""A slash with a name before it and anything behind it."""

REQUEST_DIGITS: Final = 40
"""Hex digits of a request's digest in its key: what fits where the longest name of a prompt does."""

MARK: Final = "~"
DIGITS: Final = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What fits, in bytes of UTF-8: a whole key (what a bucket's prefix takes is taken off), and a name, if limited."""

    key: int
    name: int | None

    def __post_init__(self) -> None:
        if self.key < NAME + 1 + DIGITS + 1 + BEHIND_KEY:
            raise ValueError(f"{self.key} bytes are too few for a result's key: shorten the prefix of the results")


FOLDER: Final = Limits(key=FOLDER_KEY, name=FOLDER_NAME)

FILES: Final = re.compile(
    r"transcript\.(json|txt|srt|vtt)|paragraphs\.json|redacted\.(mp3|wav)|result\.json"
    r"|(answers|requests|raw)/[^/]+|runs/.+",
    re.DOTALL,
)
"""What lies in a job's own folder."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The keys of one job's files. Each run has its own result and answers; the transcript is the job's."""

    prefix: str

    @property
    def transcript_json(self) -> str:
        return f"{self.prefix}/transcript.json"

    @property
    def transcript_txt(self) -> str:
        return f"{self.prefix}/transcript.txt"

    def captions(self, form: str) -> str:
        """`form` is `srt` or `vtt`."""
        return f"{self.prefix}/transcript.{form}"

    @property
    def paragraphs(self) -> str:
        return f"{self.prefix}/paragraphs.json"

    def redacted_audio(self, form: str) -> str:
        """`form` is `mp3` or `wav`."""
        return f"{self.prefix}/redacted.{form}"

    def answer(self, prompt: str, run: int) -> str:
        return f"{self._run(run)}/answers/{prompt}.json"

    def request(self, digest: str, run: int) -> str:
        """What was answered to the request of that digest, where one request is not the whole answer to a prompt."""
        return f"{self._run(run)}/requests/{digest}.json"

    def raw(self, prompt: str, run: int) -> str:
        """The last words of a model whose structured answers all were none."""
        return f"{self._run(run)}/raw/{prompt}.txt"

    def result(self, run: int) -> str:
        return f"{self._run(run)}/result.json"

    def _run(self, run: int) -> str:
        return self.prefix if run == 1 else f"{self.prefix}/runs/{run}"


def place(pipeline: str, source_key: str, job_id: JobId, limits: Limits = FOLDER) -> Place:
    """The place of `job_id`, made for the recording `source_key`; each of its keys fits `limits`.

    `pipeline` is a name as the pipelines file allows it. No name of the place is empty, `.` or `..`.
    """
    room = limits.key - len(pipeline) - 1 - BEHIND_KEY
    return Place(prefix=f"{pipeline}/{_held(source_key, room, limits.name)}/{job_id}")


def own(key: str) -> bool:
    """Whether the key has the form of one of our results, whichever deployment's and below whatever prefix."""
    names = key.split("/")
    return any(
        is_job_id(name) and FILES.fullmatch("/".join(names[depth:])) is not None
        for depth, name in enumerate(names, start=1)
    )


def _held(source_key: str, room: int, name: int | None) -> str:
    names = [_fitted(part, _encoded(part), name) for part in SEPARATOR.split(source_key)]
    joined = [piece for index, pieces in enumerate(names) for piece in (*(["/"] if index else []), *pieces)]
    return "".join(_fitted(source_key, joined, room, name))


def _encoded(name: str) -> Sequence[str]:
    """The characters of a name, in pieces that a cut must not split."""
    if name in {".", ".."}:
        return [_percent(character) for character in name]
    pieces = [_percent(character) if character in "/\0" else character for character in name]
    if is_job_id(name):
        pieces[0] = _percent(name[0])
    return pieces


def _percent(character: str) -> str:
    return f"%{ord(character):02X}"


def _fitted(original: str, pieces: Sequence[str], room: int | None, name: int | None = None) -> Sequence[str]:
    """The pieces if they fit into `room` bytes, else what fits of them, so that the last name fits into `name` bytes.

    No pieces at all (an empty key) do not fit either.
    """
    if pieces and (room is None or _size(pieces) <= room):
        return pieces
    end = MARK + sha256(original.encode()).hexdigest()[:DIGITS]
    kept: list[str] = []
    left = (room or 0) - len(end)
    for piece in pieces:
        left -= _size(piece)
        if left < 0:
            break
        kept.append(piece)
    while name is not None and _size("".join(kept).rpartition("/")[2]) > name - len(end):
        kept.pop()
    return [*kept, end]


def _size(text: Iterable[str]) -> int:
    return len("".join(text).encode())
