"""Callbacks as they travel: where they are sent, and what their bodies may say.

Two kinds are documented (vendor API reference: transcript ready, redacted audio ready). Neither carries anything that
we believe: they are hints to look.
"""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

import orjson

from service.domain.job import Fact

READY: Final = frozenset({"completed", "error"})
REDACTED: Final = "redacted_audio_ready"

_ROW_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SUBJECT: Final = re.compile(r"[!-~]{1,256}")
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Malformed(ValueError):
    """The body is not the documented JSON."""


class Notice(Fact):
    """What a callback said.

    `word` is its status word, `?` for one that is no word and not fit to be logged. `subject` is the transcript's id,
    None where it named none.
    """

    word: str
    subject: str | None

    @property
    def known(self) -> bool:
        """Whether the status word is a documented one."""
        return self.word in READY or self.word == REDACTED


def understand(body: bytes) -> Notice:
    """Raises Malformed. A status word that we do not know is no error; further fields are ignored."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed from None
    if not isinstance(said, dict):
        raise Malformed
    word, subject = said.get("status"), said.get("transcript_id")
    if not isinstance(word, str) or not word:
        raise Malformed
    if subject is not None and not (isinstance(subject, str) and _SUBJECT.fullmatch(subject)):
        raise Malformed
    if word in READY and subject is None:
        raise Malformed
    if word == REDACTED and not isinstance(said.get("redacted_audio_url"), str):
        raise Malformed
    return Notice(word=word if _WORD.fullmatch(word) else "?", subject=subject)


def prefix(public_url: str) -> str:
    """The decoded path that all callbacks share, below whatever path the public URL has; ends in a slash."""
    return unquote(urlsplit(public_url).path).rstrip("/") + "/callbacks/"


def address(public_url: str, job_id: str) -> str:
    """The `webhook_url` that names this job."""
    return f"{public_url.rstrip('/')}/callbacks/{job_id}"


def possible(job_id: str) -> bool:
    """Whether this can be the id of a job: 1 to 128 letters, digits, `_` and `-`."""
    return _ROW_ID.fullmatch(job_id) is not None
