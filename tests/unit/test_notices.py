"""What a message in the queue announces, whoever wrote it and in whichever of the forms."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.notices import LONGEST_BODY, Notice, Notices, read
from service.domain.objects import ObjectPlace, ours
from service.domain.places import place

ETAG = "0b8263d341de01f741e4deadfb18f9eb"
JOB = "job_0123456789abcdef0123456789abcdef"


def s3(key: str, /, **fields: object) -> dict[str, Any]:
    """S3's notification, by S3's documentation."""
    told = {"key": quote_plus(key, safe="/"), "size": 5, "eTag": ETAG, "versionId": "v1", "sequencer": "0A1B"}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2027-01-15T08:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "EXAMPLE"},
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "calls", "arn": "arn:aws:s3:::calls"}, "object": told},
    }
    told.update(fields)
    return {"Records": [record]}


def eventbridge(key: str, /, **fields: object) -> dict[str, Any]:
    """EventBridge's event, by S3's documentation."""
    told = {"key": key, "size": 5, "etag": ETAG, "version-id": "v1", "sequencer": "0A1B", **fields}
    return {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"version": "0", "bucket": {"name": "calls"}, "object": told, "reason": "PutObject"},
    }


def enveloped(said: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:r:a:t", "Message": json.dumps(said)}


SHAPES: list[Callable[[str], dict[str, Any]]] = [
    s3,
    eventbridge,
    lambda key: enveloped(s3(key)),
    lambda key: enveloped(eventbridge(key)),
]
KEYS = ["a b.mp3", "a+b.mp3", "a%2Bb.mp3", "100%.mp3", "ünï/🎉.mp3", "x/" + "k" * 1022, "é" * 512, "a&b=c?#.mp3", " "]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_announces_the_object_under_its_key(shape: Callable[[str], dict[str, Any]], key: str) -> None:
    said = read(json.dumps(shape(key)))
    [notice] = said.created
    assert notice.places[0] == ObjectPlace(bucket="calls", key=key)
    assert (notice.etag, notice.version, notice.size) == (ETAG, "v1", 5)
    assert (said.others, said.fault) == ((), None)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "written", [lambda key: quote(key, safe=""), lambda key: quote(key, safe="/+"), lambda key: key]
)
def test_a_key_that_is_encoded_otherwise_is_among_its_readings(written: Callable[[str], str], key: str) -> None:
    [notice] = read(json.dumps(s3(key, key=written(key)))).created
    assert key in notice.keys
    assert len(set(notice.keys)) == len(notice.keys) <= 3


def test_names_of_fields_are_met_in_any_letter_case_and_quotes_do_not_count() -> None:
    for name, version in (("etag", "versionid"), ("ETag", "version_id"), ("ETAG", "VersionID")):
        told = s3("a.mp3")
        told["Records"][0]["s3"]["object"] = {"Key": "a.mp3", name: f'"{ETAG}"', version: "v2"}
        [notice] = read(json.dumps(told)).created
        assert (notice.etag, notice.version, notice.size) == (ETAG, "v2", None)


@pytest.mark.parametrize("shape", [s3, eventbridge])
def test_what_is_missing_or_of_the_wrong_type_is_left_to_s3(shape: Callable[..., dict[str, Any]]) -> None:
    wrong: list[dict[str, object]] = [
        {"eTag": None, "etag": {}, "size": "5", "versionId": 1, "version-id": []},
        {"eTag": "", "etag": "", "size": True, "versionId": "null", "version-id": "null"},
        {"eTag": "not one", "etag": "\u2028", "size": -1, "versionId": "a b", "version-id": ""},
        {"eTag": 7, "etag": 7, "size": 2.5, "versionId": "x" * 2000, "version-id": "x" * 2000},
        {"eTag": 7, "etag": 7, "size": 2**63, "versionId": {}, "version-id": {}},
    ]
    for fields in wrong:
        [notice] = read(json.dumps(shape("a.mp3", **fields))).created
        assert (notice.etag, notice.version, notice.size) == (None, None, None)


def test_several_records_are_several_objects_and_other_events_are_none() -> None:
    told = {"Records": [s3(key)["Records"][0] for key in ("a", "b", "c", "d")]}
    told["Records"][1]["eventName"] = "ObjectRemoved:Delete"
    told["Records"][2]["eventName"] = "s3:ObjectCreated:CompleteMultipartUpload"
    said = read(json.dumps(told))
    assert [notice.keys[0] for notice in said.created] == ["a", "c", "d"]
    assert said.others == ("ObjectRemoved:Delete",)


def test_s3_s_test_and_other_events_of_eventbridge_announce_nothing() -> None:
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "…", "Bucket": "calls", "RequestId": "…"}
    assert read(json.dumps(test)) == read(json.dumps(enveloped(test))) == Notices(others=("s3:TestEvent",))
    assert read(json.dumps(eventbridge("a") | {"detail-type": "Object Deleted"})) == Notices(others=("Object Deleted",))


def test_the_good_records_of_a_message_are_taken_beside_a_bad_one() -> None:
    told = {"Records": [s3(key)["Records"][0] for key in ("a", "b", "c", "d", "e")]}
    told["Records"][0]["s3"]["object"]["key"] = 7
    told["Records"][1]["s3"]["bucket"]["name"] = "arn:aws:s3:::calls"
    told["Records"][2] = "record"
    said = read(json.dumps(told))
    assert [notice.keys[0] for notice in said.created] == ["d", "e"]
    assert said.fault is not None


BAD: dict[str, str] = {
    "nothing": "",
    "no JSON": "<xml>",
    "a list": "[]",
    "an empty object": "{}",
    "no records": '{"Records": []}',
    "records that are none": '{"Records": {"0": 1}}',
    "a null record": '{"Records": [null]}',
    "deep": '{"Records":' + "[" * 100_000 + "]" * 100_000 + "}",
    "a huge number": json.dumps(s3("a")).replace('"size": 5', '"size": ' + "9" * 5000),
    "a lone surrogate": json.dumps(s3("a", key="\ud800")),
    "a surrogate in the body": '{"Records": "\ud800"}',
    "too long": json.dumps(s3("a") | {"x": "x" * LONGEST_BODY}),
    "too many": json.dumps({"Records": s3("a")["Records"] * 101}),
    "too many envelopes": json.dumps(enveloped(enveloped(enveloped(s3("a"))))),
    "an envelope of nothing": json.dumps({"Type": "Notification", "Message": ""}),
    "a subscription": json.dumps({"Type": "SubscriptionConfirmation", "Message": "You have chosen…", "Token": "s"}),
    "no bucket": json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "a"}}}]}),
    "a bucket with a slash": json.dumps(s3("a")).replace('"name": "calls"', '"name": "calls/../x"'),
    "an empty key": json.dumps(s3("")),
    "a long key": json.dumps(s3("k" * 1025)),
    "an event about nothing": json.dumps({"detail-type": "Object Created", "detail": {}}),
    "an event without a detail": json.dumps({"detail-type": "Object Created"}),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_no_notification_is_unreadable_and_its_words_are_not_repeated(body: str) -> None:
    said = read(body)
    assert said.created == said.others == ()
    assert said.fault
    assert len(said.fault) < 100
    assert all(word not in said.fault for word in ("xml", "calls", "chosen", "kkk"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    shape=st.sampled_from(SHAPES),
    key=st.text(max_size=20),
    path=st.lists(st.integers(0, 9), max_size=7),
    value=JSON,
)
@example(shape=s3, key="%ff+%zz", path=[], value=None)
def test_whatever_a_message_holds_reading_it_raises_nothing(
    shape: Callable[[str], dict[str, Any]], key: str, path: list[int], value: object
) -> None:
    try:
        told = deepcopy(shape(key))
    except UnicodeEncodeError:
        told = {}
    changed(told, path, value)
    for notice in read(json.dumps(told)).created:
        assert Notice.model_validate_json(notice.model_dump_json()) == notice
        assert all(0 < len(each.encode()) <= 1024 for each in notice.keys)


@given(st.text() | st.binary().map(lambda body: body.decode("utf-8", "surrogateescape")))
def test_whatever_is_no_json_is_unreadable(body: str) -> None:
    assert read(body).created == ()


def changed(told: Any, path: list[int], value: object) -> None:
    """Put the value somewhere into it: wherever the path leads."""
    for step in path:
        if not isinstance(told, dict | list) or not told:
            return
        name = list(told)[step % len(told)] if isinstance(told, dict) else step % len(told)
        if step == path[-1] or not isinstance(told[name], dict | list):
            told[name] = value
            return
        told = told[name]


OURS = [
    f"calls/a.mp3/{JOB}/{file}"
    for file in (
        "transcript.json",
        "transcript.txt",
        "transcript.srt",
        "transcript.vtt",
        "result.json",
        "answers/summary.json",
        "runs/2/result.json",
        "runs/2/answers/summary.json",
    )
]


@pytest.mark.parametrize("key", [*OURS, f"staging/{OURS[0]}", OURS[0].replace("job_0", "JOB_0")])
def test_a_result_of_any_deployment_is_no_recording_wherever_it_lies(key: str) -> None:
    assert ours(ObjectPlace(bucket="any", key=key), None)


def test_every_file_of_a_job_is_known_for_ours() -> None:
    files = place("calls", "a/b.mp3", JOB)
    keys = [files.transcript_json, files.transcript_txt, files.captions("srt"), files.captions("vtt")]
    keys += [files.paragraphs, files.redacted_audio("mp3"), files.redacted_audio("wav")]
    keys += [each for run in (1, 2) for each in (files.result(run), files.answer("summary", run))]
    assert all(ours(ObjectPlace(bucket="b", key=key), None) for key in keys)


def test_what_lies_under_the_results_is_ours_in_that_bucket_alone() -> None:
    results = ObjectPlace(bucket="calls", key="results/")
    assert ours(ObjectPlace(bucket="calls", key="results/a.mp3"), results)
    assert not ours(ObjectPlace(bucket="other", key="results/a.mp3"), results)
    assert not ours(ObjectPlace(bucket="calls", key="results-of-may/a.mp3"), results)
    assert not ours(ObjectPlace(bucket="calls", key="a.mp3"), ObjectPlace(bucket="calls", key=""))


@pytest.mark.parametrize(
    "key", [f"{JOB}.mp3", f"calls/{JOB}/a.mp3", "calls/a/transcript.json", f"{JOB}x/result.json", f"{JOB}/answers/"]
)
def test_a_recording_is_not_taken_for_a_result_by_its_name(key: str) -> None:
    assert not ours(ObjectPlace(bucket="calls", key=key), None)
