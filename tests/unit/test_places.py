"""Where results lie: as the key is, but never outside of their place, in another's, or too long."""

from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.identity import is_job_id, job_id
from service.domain.job import JobId, Kind, Recording
from service.domain.places import FOLDER, REQUEST_DIGITS, Limits, Place, place

JOB = JobId("job_" + "0f" * 16)
OTHER = JobId("job_" + "e1" * 16)
S3 = Limits(key=1024, name=None)
LONGEST_PROMPT = "p" * 64

awkward = st.sampled_from(
    ["/", ".", "..", "%2E", "%", "~", "\0", "\\", "\n", " ", "+", "ü", "🎙", "a", JOB, "result.json"]
)
keys = st.one_of(st.text(), st.lists(awkward, max_size=30).map("".join), st.lists(awkward, max_size=9).map("/".join))
long_keys = st.tuples(st.text("aü🎙/.\0", min_size=1, max_size=9), st.integers(1, 1500)).map(
    lambda pair: pair[0] * pair[1]
)


def a_url(location: str) -> Recording:
    at = "2026-03-01T09:00:00.000Z"
    return Recording(kind=Kind.URL, uri="https://h", key="a", name="a", location=location, dropped_at=at)


def digits(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def source(key: str, limits: Limits = FOLDER) -> str:
    """What became of a source key."""
    prefix = place("calls", key, JOB, limits).prefix
    return prefix.removeprefix("calls/").removesuffix(f"/{JOB}")


def files(where: Place, run: int) -> list[str]:
    """Those of a run, each under the longest name."""
    digest = "f" * REQUEST_DIGITS
    answers = [where.answer(LONGEST_PROMPT, run), where.raw(LONGEST_PROMPT, run)]
    return [where.result(run), where.request(digest, run), *answers]


def all_keys(where: Place) -> list[str]:
    shared = [where.transcript_json, where.transcript_txt, where.captions("srt"), where.captions("vtt")]
    shared += [where.paragraphs, where.redacted_audio("mp3"), where.redacted_audio("wav")]
    return shared + [key for run in (1, 2, 10**9) for key in files(where, run)]


def test_a_job_has_its_files_under_pipeline_key_and_id() -> None:
    where = place("calls", "2026/a b.mp3", JOB)
    assert where.transcript_json == f"calls/2026/a b.mp3/{JOB}/transcript.json"
    assert where.transcript_txt == f"calls/2026/a b.mp3/{JOB}/transcript.txt"
    assert where.captions("vtt") == f"calls/2026/a b.mp3/{JOB}/transcript.vtt"
    assert where.paragraphs == f"calls/2026/a b.mp3/{JOB}/paragraphs.json"
    assert where.redacted_audio("wav") == f"calls/2026/a b.mp3/{JOB}/redacted.wav"
    assert where.answer("summary", 1) == f"calls/2026/a b.mp3/{JOB}/answers/summary.json"
    assert where.result(1) == f"calls/2026/a b.mp3/{JOB}/result.json"


def test_each_later_run_has_its_own_result_and_answers() -> None:
    where = place("calls", "a.mp3", JOB)
    assert where.answer("summary", 2) == f"calls/a.mp3/{JOB}/runs/2/answers/summary.json"
    assert where.result(3) == f"calls/a.mp3/{JOB}/runs/3/result.json"


@pytest.mark.parametrize(
    "key", ["a.mp3", "a/b c+d%41~.mp3", "ü/🎙'\".mp3", "...", ".hidden/..a", "a\\b", "a\nb", "%2E%2E/x"]
)
def test_an_ordinary_key_is_used_as_it_is(key: str) -> None:
    assert source(key) == source(key, S3) == key


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("a/./b", "a/%2E/b"),
        ("/etc/passwd", "%2Fetc/passwd"),
        ("//a", "%2F%2Fa"),
        ("a//b", "a/%2Fb"),
        ("a//../b", "a/%2F../b"),
        ("a/", "a%2F"),
        ("/", "%2F"),
        ("..", "%2E%2E"),
        ("../", "..%2F"),
        ("a\0b", "a%00b"),
        (f"a/{JOB}/result.json", f"a/%6A{JOB[1:]}/result.json"),
        (f"a/{JOB.upper()}", f"a/%4A{JOB.upper()[1:]}"),
    ],
)
def test_what_a_folder_cannot_hold_is_percent_encoded_for_every_engine(key: str, kept: str) -> None:
    assert source(key) == source(key, S3) == kept


def test_a_name_too_long_for_a_folder_is_cut_between_characters() -> None:
    name = "ü" * 128
    assert source(f"a/{name}/b.mp3") == f"a/{'ü' * 119}~{digits(name)}/b.mp3"
    assert source(f"a/{name}/b.mp3", S3) == f"a/{name}/b.mp3"
    assert source("x" * 255) == "x" * 255


def test_a_cut_never_leaves_half_an_escape() -> None:
    name = "x" * 237 + "\0" * 20
    assert source(name) == "x" * 237 + "~" + digits(name)


def test_a_key_too_long_for_a_bucket_is_cut() -> None:
    key = "a/" + "x" * 1100
    cut = source(key, S3)
    assert cut.endswith("~" + digits(key))
    assert key.startswith(cut[:-17])
    longest = max(files(place("calls", key, JOB, S3), 10**9), key=len)
    assert len(longest.encode()) == 1024


@pytest.mark.parametrize("first", range(1, 255, 11))
def test_a_cut_key_still_ends_in_a_name_that_fits(first: int) -> None:
    key = "/".join(["x" * first, *["y" * 250] * 20])
    assert all(len(name.encode()) <= 255 for name in source(key).split("/"))
    assert source(key).endswith("~" + digits(key))


def test_even_an_empty_key_has_a_place() -> None:
    assert source("") == "~" + digits("")


def test_limits_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="shorten the prefix"):
        Limits(key=200, name=None)


@settings(max_examples=500)
@given(keys | long_keys, st.sampled_from([FOLDER, S3, Limits(key=260, name=255), Limits(key=260, name=None)]))
@example("/".join(["y" * 250] * 20), FOLDER)
def test_no_key_leads_out_or_does_not_fit(key: str, limits: Limits) -> None:
    for made in all_keys(place("a" * 64, key, JOB, limits)):
        names = made.split("/")
        assert not {"", ".", ".."} & set(names)
        assert "\0" not in made
        assert len(made.encode()) <= limits.key
        assert limits.name is None or all(len(name.encode()) <= limits.name for name in names)


@settings(max_examples=500)
@given(keys, keys)
@example("a", f"a/{JOB}")
@example("a", f"a/{JOB}/result.json")
@example("a", f"a/{JOB}/runs/2")
def test_no_file_of_a_job_lies_in_or_on_that_of_another(one: str, two: str) -> None:
    mine, theirs = all_keys(place("calls", one, JOB)), all_keys(place("calls", two, OTHER))
    for file in mine:
        assert all(file != other and not other.startswith(file + "/") for other in theirs)


@settings(max_examples=500)
@given(keys | long_keys)
def test_the_first_name_of_a_jobs_form_is_the_jobs_folder(key: str) -> None:
    names = place("calls", key, JOB).result(1).split("/")
    assert [name for name in names if is_job_id(name)] == [JOB]


@settings(max_examples=500)
@given(keys, keys)
@example("..", "%2E%2E")
def test_different_recordings_never_share_a_place(one: str, two: str) -> None:
    jobs = [job_id("n", a_url(f"https://h/{key}"), again=key) for key in (one, two)]
    places = [place("calls", key, job) for key, job in zip((one, two), jobs, strict=True)]
    assert (places[0] == places[1]) == (one == two)
