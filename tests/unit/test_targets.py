"""What may be named to be analyzed, and how the rest is refused."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import Refused
from service.domain.identity import job_id
from service.domain.objects import ObjectPlace
from service.domain.targets import (
    FileTarget,
    ObjectTarget,
    TranscriptTarget,
    UrlTarget,
    file_key,
    from_transcript,
    from_url,
    metadata,
    parse,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("one.mp3", FileTarget(path="one.mp3")),
        ("/calls/a b%20.mp3", FileTarget(path="/calls/a b%20.mp3")),
        ("C:\\calls\\one.mp3", FileTarget(path="C:\\calls\\one.mp3")),
        ("./transcript:x", FileTarget(path="./transcript:x")),
        ("https://a.example/x.mp3?sig=1", UrlTarget(url="https://a.example/x.mp3?sig=1")),
        ("HTTPS://ada:pw@a.example:8443/x", UrlTarget(url="HTTPS://ada:pw@a.example:8443/x")),
        ("http://127.0.0.1:8080/x.mp3", UrlTarget(url="http://127.0.0.1:8080/x.mp3")),
        ("http://[::1]/x.mp3", UrlTarget(url="http://[::1]/x.mp3")),
        ("http://localhost/x.mp3", UrlTarget(url="http://localhost/x.mp3")),
        ("s3://calls/a b/%2B+é?#@.mp3", ObjectTarget(place=ObjectPlace(bucket="calls", key="a b/%2B+é?#@.mp3"))),
        ("S3://calls/", ObjectTarget(place=ObjectPlace(bucket="calls", key=""))),
        ("s3://calls", ObjectTarget(place=ObjectPlace(bucket="calls", key=""))),
        ("transcript:5552-a_B", TranscriptTarget(transcript_id="5552-a_B")),
    ],
)
def test_files_urls_and_transcripts_are_told_apart(text: str, target: object) -> None:
    assert parse([text]) == [target]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "", "empty; name a file, s3://bucket/key, an https:// URL"),
        ("s3://", "s3://", "no bucket that there can be; write it as s3://bucket/key"),
        ("s3://My_Calls/a.mp3", "s3://My_Calls/a.mp3", "no bucket that there can be"),
        ("s3:///a.mp3?b", "s3:///a.mp3?b", "no bucket that there can be"),
        ("s3://calls/" + "é" * 513, "s3://calls/" + "é" * 189 + "…", "the key is longer than 1024 bytes"),
        ("ftp://a.example/x", "ftp://a.example/x", "ftp:// is not supported; name a file"),
        ("http://a.example/x?key=s3cret", "http://a.example/x", "plain http is for this machine alone; use https://"),
        ("http://127.0.0.1.a.example/x", "http://127.0.0.1.a.example/x", "use https://"),
        ("https://", "https://", "names no host"),
        ("https://ada:s3cret@/x", "https:///x", "names no host"),
        ("https://a.example:port/s3", "https://a.example:port/s3", "no valid URL"),
        ("https://[::1/x#s3cret", "https://[::1/x", "no valid URL"),
        ("https://a.example/a b", "https://a.example/a b", "percent-encode"),
        ("https://a.example/a\nb", "https://a.example/a\\nb", "percent-encode"),
        ("https://a.example/" + "x" * 8192, "https://a.example/" + "x" * 182 + "…", "longer than 8192"),
        ("transcript:", "transcript:", "no transcript id"),
        ("transcript:a/b", "transcript:a/b", "./transcript:"),
        ("transcript:" + "a" * 65, "transcript:" + "a" * 65, "1 to 64"),
        ("caf\udce9.mp3", "caf\\udce9.mp3", "not UTF-8"),
        ("a\0b", "a\\x00b", "NUL"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place_and_cure(text: str, place: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parse([text])
    [problem] = refused.value.problems
    assert problem.place == place
    assert words in str(problem)
    assert "s3cret" not in str(problem)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        parse(["s3://B/k", "fine.mp3", "ftp://x/"])
    assert [problem.place for problem in refused.value.problems] == ["s3://B/k", "ftp://x/"]


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    try:
        [target] = parse([text])
    except Refused as refused:
        words = str(refused)
        assert words.isprintable()
    else:
        if isinstance(target, UrlTarget):
            from_url(target, NOW, {})


def test_a_url_is_told_without_user_query_and_fragment() -> None:
    [target] = parse(["https://ada:pw@a.example:8443/calls/my%20call.mp3?X-Signature=s3cret#t=5"])
    recording = from_url(target, NOW, {"agent": "Ada"})
    assert recording.model_dump(exclude_defaults=True) == {
        "kind": "url",
        "uri": "https://a.example:8443/calls/my%20call.mp3",
        "key": "calls/my call.mp3",
        "name": "my call.mp3",
        "location": "https://ada:pw@a.example:8443/calls/my%20call.mp3?X-Signature=s3cret",
        "dropped_at": "2027-01-15T08:00:00.000Z",
        "metadata": {"agent": "Ada"},
    }


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_a_url_without_a_path_is_known_by_its_host(path: str) -> None:
    recording = from_url(UrlTarget(url=f"https://a.example{path}"), NOW, {})
    assert (recording.key, recording.name) == ("a.example", "a.example")


def test_a_transcript_is_known_by_its_id() -> None:
    recording = from_transcript(TranscriptTarget(transcript_id="tr-1"), NOW, {})
    assert recording.model_dump(exclude_defaults=True) == {
        "kind": "transcript",
        "uri": "assemblyai:transcript/tr-1",
        "key": "transcripts/tr-1",
        "name": "tr-1",
        "location": "tr-1",
        "dropped_at": "2027-01-15T08:00:00.000Z",
    }
    assert job_id("afterword", recording) == job_id("afterword", recording.model_copy(update={"metadata": {"a": "b"}}))


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/in/calls/one.mp3", "calls/one.mp3"),
        ("/home/ada/one.mp3", "one.mp3"),
        ("/home/ada/new/one.mp3", "new/one.mp3"),
        ("/else/where/one.mp3", "one.mp3"),
        ("/inbox/one.mp3", "one.mp3"),
    ],
)
def test_a_file_has_the_key_that_it_would_have_if_it_were_dropped(path: str, key: str) -> None:
    found = file_key(PurePosixPath(path), inbox=PurePosixPath("/in"), otherwise=PurePosixPath("/home/ada"))
    assert found == key


def test_without_an_inbox_only_the_named_folder_counts() -> None:
    assert file_key(PurePosixPath("/a/b/c.mp3"), inbox=None, otherwise=PurePosixPath("/a")) == "b/c.mp3"


def test_metadata_is_read_from_pairs() -> None:
    assert metadata(["agent=Ada", "case-no=a=b", "empty="]) == {"agent": "Ada", "case-no": "a=b", "empty": ""}


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["agent"], "--metadata agent: has no `=`; write it as NAME=VALUE"),
        (["Agent=Ada"], "the name is not made of a-z"),
        (["ä=1"], "the name is not made of a-z"),
        (["=1"], "the name is not made of a-z"),
        (["a=1", "a=2"], "--metadata a=2: the name is given twice"),
        (["a=\udce9"], "the value is not UTF-8"),
        (["a=" + "é" * 600, "b=" + "é" * 600], "take 2402 bytes together, more than 2048"),
    ],
)
def test_bad_metadata_is_refused(pairs: list[str], words: str) -> None:
    with pytest.raises(Refused) as refused:
        metadata(pairs)
    assert words in str(refused.value)
