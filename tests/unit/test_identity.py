"""What a recording is, and the names that follow from it."""

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.identity import event_id, file_uri, is_job_id, job_id, transcript_uri, url_uri
from service.domain.job import JobId, Kind, Recording

AT = "2026-03-01T09:00:00.000Z"


def a_file(key: str = "calls/a.mp3", size: int = 10, digest: str = "ab" * 32, **more: str) -> Recording:
    facts = {"uri": f"file:///in/{key}", "name": "a.mp3", "location": f"/in/{key}", "dropped_at": AT} | more
    return Recording.model_validate({"kind": Kind.FILE, "key": key, "size": size, "digest": digest, **facts})


def a_url(location: str) -> Recording:
    return Recording(kind=Kind.URL, uri=url_uri(location), key="a.mp3", name="a.mp3", location=location, dropped_at=AT)


def test_a_job_id_never_changes_between_releases() -> None:
    assert job_id("afterword", a_file()) == "job_b775abb50b11a207736b8f83ea7e595c"


def test_a_touched_or_moved_inbox_makes_no_new_recording() -> None:
    later = a_file(location="/elsewhere/a.mp3", uri="file:///elsewhere/a.mp3", dropped_at="2027-01-01T00:00:00.000Z")
    assert job_id("afterword", later) == job_id("afterword", a_file())


@pytest.mark.parametrize(
    "other", [a_file(key="calls/b.mp3"), a_file(size=11), a_file(digest="cd" * 32), a_url("https://h/calls/a.mp3")]
)
def test_another_key_size_or_content_is_another_recording(other: Recording) -> None:
    assert job_id("afterword", other) != job_id("afterword", a_file())


def test_two_deployments_have_each_their_own_job() -> None:
    assert job_id("staging", a_file()) != job_id("afterword", a_file())


def test_again_makes_a_new_job_and_the_same_nonce_the_same_one() -> None:
    assert len({job_id("afterword", a_file(), again) for again in (None, "", "1", "2")}) == 4
    assert job_id("afterword", a_file(), "1") == job_id("afterword", a_file(), "1")


def test_a_url_is_the_same_recording_whatever_its_fragment() -> None:
    assert job_id("n", a_url("https://h/a.mp3?id=1#t=3")) == job_id("n", a_url("https://h/a.mp3?id=1"))
    assert job_id("n", a_url("https://h/a.mp3?id=1")) != job_id("n", a_url("https://h/a.mp3?id=2"))


def test_a_url_and_a_transcript_of_the_same_name_are_two_recordings() -> None:
    url = a_url("https://h/a")
    assert job_id("n", url.model_copy(update={"kind": Kind.TRANSCRIPT})) != job_id("n", url)


@pytest.mark.parametrize("missing", ["size", "digest"])
def test_a_file_without_size_or_digest_has_no_identity(missing: str) -> None:
    with pytest.raises(ValueError, match="identified by its key, size and content digest"):
        job_id("n", a_file().model_copy(update={missing: None}))


@given(
    st.tuples(st.text(), st.text(), st.integers(), st.text(), st.none() | st.text()),
    st.tuples(st.text(), st.text(), st.integers(), st.text(), st.none() | st.text()),
)
def test_different_fields_never_run_together(
    one: tuple[str, str, int, str, str | None], two: tuple[str, str, int, str, str | None]
) -> None:
    ids = [job_id(name, a_file(key, size, digest), again) for name, key, size, digest, again in (one, two)]
    assert (ids[0] == ids[1]) == (one == two)
    assert all(is_job_id(each) for each in ids)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("job_" + "0f" * 16, True),
        ("JOB_" + "0F" * 16, True),
        ("0f" * 16, False),
        ("job_" + "0g" * 16, False),
        ("job_" + "0f" * 15, False),
        ("job_" + "0f" * 17, False),
        ("", False),
    ],
)
def test_a_job_id_is_known_by_its_form(name: str, is_one: bool) -> None:
    assert is_job_id(name) is is_one


def test_an_event_id_can_be_made_by_anyone_from_name_job_and_run() -> None:
    namespace = UUID("a4fe6b63-a5ec-4f87-a5de-6f667c77f0e0")
    assert event_id("prod", JobId("job_1"), 2) == str(uuid5(namespace, "prod/job_1/2"))


def test_every_run_has_its_own_event_id() -> None:
    ids = [event_id(name, JobId(job), run) for name in ("a", "b") for job in ("job_1", "job_2") for run in (1, 2, 12)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/in/a.mp3", "file:///in/a.mp3"),
        ("/in/a b+c%d'\"?#.mp3", "file:///in/a%20b%2Bc%25d%27%22%3F%23.mp3"),
        ("/in/🎙.mp3", "file:///in/%F0%9F%8E%99.mp3"),
    ],
)
def test_a_files_uri_is_percent_encoded(path: str, uri: str) -> None:
    assert file_uri(path) == uri


def test_a_relative_path_has_no_uri() -> None:
    with pytest.raises(ValueError, match="absolute"):
        file_uri("in/a.mp3")


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("https://user:pw@h.example:8443/a/b.mp3?X-Amz-Signature=s#t", "https://h.example:8443/a/b.mp3"),
        ("https://h.example", "https://h.example"),
        ("http://[::1]:80/a%20b/ü.mp3", "http://[::1]:80/a%20b/%C3%BC.mp3"),
        ("https://a@b@h.example/x@y.mp3?", "https://h.example/x@y.mp3"),
    ],
)
def test_a_urls_uri_tells_no_user_and_no_query(url: str, uri: str) -> None:
    assert url_uri(url) == uri


def test_a_transcript_without_recording_has_a_uri_of_its_own() -> None:
    assert transcript_uri("9ea6-1/2") == "assemblyai:transcript/9ea6-1%2F2"
