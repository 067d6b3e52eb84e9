"""What a person may name to have it analyzed: a file, an object in S3, a URL or an existing transcript."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from service.domain.errors import Problem, Refused
from service.domain.identity import transcript_uri, url_uri
from service.domain.job import Kind, Recording
from service.domain.objects import BUCKET, ObjectPlace
from service.domain.objects import SCHEME as SCHEME_OF_S3
from service.domain.times import rfc3339

LONGEST_TARGET: Final = 8192
"""Characters of a target; presigned URLs run to about 2,000."""

LONGEST_METADATA: Final = 2048
"""Bytes of all names and values together, as many as an S3 object may carry."""

LONGEST_KEY: Final = 1024
"""Bytes of a key in S3 (S3's documentation)."""

MEANT: Final = "name a file, s3://bucket/key, an https:// URL or transcript:ID"

SHOWN: Final = 200
"""Characters of a target that an error shows."""

SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
TRANSCRIPT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
METADATA_NAME: Final = re.compile(r"[a-z0-9_-]+", re.ASCII)
USER: Final = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True, kw_only=True)
class FileTarget:
    """A path as it was written; whether anything stands there is not known yet."""

    path: str


@dataclass(frozen=True, kw_only=True)
class ObjectTarget:
    """An object in S3, or all whose keys begin so; what is there is not known yet. The key is as it is, not encoded."""

    place: ObjectPlace


@dataclass(frozen=True, kw_only=True)
class UrlTarget:
    """A URL that the vendor fetches; it may carry a user and a query, and is not fit to be told."""

    url: str


@dataclass(frozen=True, kw_only=True)
class TranscriptTarget:
    """A transcript that exists already."""

    transcript_id: str


Target = FileTarget | ObjectTarget | UrlTarget | TranscriptTarget


def parse(texts: Iterable[str]) -> Sequence[Target]:
    """The targets in their order. Raises Refused with a Problem for each that cannot be meant."""
    targets: list[Target] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            targets.append(_parsed(text))
        except _Wrong as wrong:
            problems.append(Problem(place=_shown(text), what=wrong.what, cure=wrong.cure))
    if problems:
        raise Refused(problems)
    return targets


def from_url(target: UrlTarget, seen_at: float, metadata: Mapping[str, str]) -> Recording:
    """The recording behind a URL; its key is the URL's path, decoded. `seen_at` in epoch seconds."""
    parts = urlsplit(target.url)
    key = unquote(parts.path).strip("/") or str(parts.hostname)
    return Recording(
        kind=Kind.URL,
        uri=url_uri(target.url),
        key=key,
        name=key.rpartition("/")[2],
        location=target.url.partition("#")[0],
        dropped_at=rfc3339(seen_at),
        metadata=dict(metadata),
    )


def from_transcript(target: TranscriptTarget, seen_at: float, metadata: Mapping[str, str]) -> Recording:
    """An existing transcript as a recording; its key is `transcripts/{id}`. `seen_at` in epoch seconds."""
    return Recording(
        kind=Kind.TRANSCRIPT,
        uri=transcript_uri(target.transcript_id),
        key=f"transcripts/{target.transcript_id}",
        name=target.transcript_id,
        location=target.transcript_id,
        dropped_at=rfc3339(seen_at),
        metadata=dict(metadata),
    )


def file_key(path: PurePosixPath, *, inbox: PurePosixPath | None, otherwise: PurePosixPath) -> str:
    """The key of a file: relative to the inbox if it lies there, else to `otherwise`, else its bare name.

    All three absolute. `otherwise` is the folder that `--recursive` named, or the current one. The same file so has
    the same key whether it is dropped or submitted.
    """
    for folder in (inbox, otherwise):
        if folder is not None and path != folder and path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return path.name


def metadata(pairs: Iterable[str]) -> Mapping[str, str]:
    """What `K=V` pairs say. Raises Refused with a Problem for each pair that cannot be meant."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        problem = _metadata_problem(name, equals, value, found)
        if problem is None:
            found[name] = value
        else:
            problems.append(Problem(place=f"--metadata {_shown(pair)}", what=problem[0], cure=problem[1]))
    size = sum(len(name) + len(value.encode()) for name, value in found.items())
    if size > LONGEST_METADATA:
        what = f"names and values take {size} bytes together, more than {LONGEST_METADATA}"
        problems.append(Problem(place="--metadata", what=what, cure="say less about the recording"))
    if problems:
        raise Refused(problems)
    return found


class _Wrong(Exception):
    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure


def _metadata_problem(name: str, equals: str, value: str, found: Mapping[str, str]) -> tuple[str, str] | None:
    if not equals:
        return "has no `=`", "write it as NAME=VALUE"
    if METADATA_NAME.fullmatch(name) is None:
        return "the name is not made of a-z, 0-9, `_` and `-`", "use such a name, for instance agent=Ada"
    if name in found:
        return "the name is given twice", "give each name once"
    if not _utf8(value):
        return "the value is not UTF-8", "write it in UTF-8"
    return None


def _parsed(text: str) -> Target:
    if not text:
        raise _Wrong("the target is empty", MEANT)
    if not _utf8(text):
        raise _Wrong("the name is not UTF-8, so no event could carry it", "rename the file")
    if len(text) > LONGEST_TARGET:
        raise _Wrong(f"the target is longer than {LONGEST_TARGET} characters", "give the recording a shorter address")
    if text.startswith("transcript:"):
        return _transcript(text.removeprefix("transcript:"))
    if SCHEME.match(text):
        return _url(text)
    if "\0" in text:
        raise _Wrong("no path has a NUL in it", "name the file as it is")
    return FileTarget(path=text)


def _transcript(transcript_id: str) -> Target:
    if TRANSCRIPT_ID.fullmatch(transcript_id) is None:
        raise _Wrong(
            "that is no transcript id (1 to 64 letters, digits, `-` and `_`)",
            "write transcript: and the id as AssemblyAI gave it; a file of that name is ./transcript:…",
        )
    return TranscriptTarget(transcript_id=transcript_id)


def _url(text: str) -> Target:
    scheme = text.partition(":")[0].lower()
    if scheme == "s3":
        return _object(text[len(SCHEME_OF_S3) :])
    if scheme not in {"http", "https"}:
        raise _Wrong(f"{scheme}:// is not supported", MEANT)
    if not text.isprintable() or " " in text:
        raise _Wrong("the URL has blanks or control characters in it", "percent-encode them (a blank is %20)")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _Wrong("that is no valid URL", "write it as https://host/path") from error
    if not host:
        raise _Wrong("the URL names no host", "write it as https://host/path")
    if scheme == "http" and not _loopback(host):
        raise _Wrong("plain http is for this machine alone", "use https://")
    return UrlTarget(url=text)


def _object(text: str) -> Target:
    bucket, _, key = text.partition("/")
    if BUCKET.fullmatch(bucket) is None:
        raise _Wrong("it names no bucket that there can be", "write it as s3://bucket/key")
    if len(key.encode()) > LONGEST_KEY:
        raise _Wrong(f"the key is longer than {LONGEST_KEY} bytes, as none in S3 is", "write it as s3://bucket/key")
    return ObjectTarget(place=ObjectPlace(bucket=bucket, key=key))


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    """The target as an error may show it: without user, query and what no terminal can print."""
    if SCHEME.match(text) and not text.lower().startswith(SCHEME_OF_S3):
        text = re.split(r"[?#]", USER.sub("", text), maxsplit=1)[0]
    text = text.encode("utf-8", "backslashreplace").decode()
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
