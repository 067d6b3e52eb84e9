"""The jobs API: list, show, submit, retry."""

from urllib.parse import quote

import pytest

from service.domain.errors import Code, Permanent, Problem, Refused, Unavailable
from service.engine.errors import IllegalStep, LeaseLost, StoreTrouble
from tests.ops.conftest import NOW, URI, Private
from tests.receiver.loopback import request, sent, serving

pytestmark = pytest.mark.anyio


async def test_jobs_are_listed_newest_first_page_by_page(private: Private) -> None:
    first = (await private.client.get("/api/jobs", params={"limit": 1})).json()
    assert [job["id"] for job in first["jobs"]] == ["job_2"]
    second = (await private.client.get("/api/jobs", params={"limit": 1, "after": first["next"]})).json()
    assert [job["id"] for job in second["jobs"]] == ["job_1"]
    last = (await private.client.get("/api/jobs")).json()
    assert last["next"] is None


async def test_jobs_are_listed_by_status_and_time(private: Private) -> None:
    listed = await private.client.get("/api/jobs?status=failed&status=submitted,received&since=2d&limit=500")
    assert listed.status_code == 200
    asked = {"statuses": ["failed", "submitted", "received"], "since": NOW - 2 * 86400, "limit": 500, "after": None}
    assert private.shelf.asked == asked
    await private.client.get("/api/jobs?since=2023-11-14T22:13:20Z")
    assert private.shelf.asked["since"] == NOW
    await private.client.get("/api/jobs?since=2023-11-14T22:13:20")
    assert private.shelf.asked["since"] == NOW


@pytest.mark.parametrize(
    "query", ["status=lost", "since=yesterday", "limit=0", "limit=501", "limit=1e9", "limit=-1", "limit=99999999999"]
)
async def test_a_question_that_makes_no_sense_is_refused_with_its_cure(private: Private, query: str) -> None:
    answer = await private.client.get(f"/api/jobs?{query}")
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["place"] == query.partition("=")[0]
    assert problem["cure"]


@pytest.mark.parametrize("name", ["job_1", "t-job_1"])
async def test_a_job_is_shown_by_its_id_or_its_transcripts(private: Private, name: str) -> None:
    shown = (await private.client.get(f"/api/jobs/{name}")).json()
    assert shown["id"] == "job_1"
    assert shown["timeline"] == [{"at": "2023-11-14T22:12:20.000Z", "run": 1, "status": "received", "note": None}]
    assert shown["older"] == []


async def test_a_job_is_shown_by_its_recordings_uri(private: Private) -> None:
    shown = (await private.client.get("/api/jobs/" + quote(URI, safe=""))).json()
    assert (shown["id"], shown["older"]) == ("job_2", ["job_1"])


async def test_what_opens_anything_is_never_shown(private: Private) -> None:
    shown = (await private.client.get("/api/jobs/job_1")).text
    for secret in ("SECRETUPLOAD", "SIGNED", "/srv/inbox"):
        assert secret not in shown


async def test_an_unknown_name_is_not_found(private: Private) -> None:
    answer = await private.client.get("/api/jobs/nobody")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_a_recording_is_submitted_once(private: Private) -> None:
    order = {"target": "/inbox/a.mp3", "pipeline": "calls", "metadata": {"agent": "7"}}
    first = await private.client.post("/api/jobs", json=order)
    again = await private.client.post("/api/jobs", json={"target": "/inbox/a.mp3"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert private.acts.done[0] == ("submit", "/inbox/a.mp3", "calls", {"agent": "7"})
    assert again.json()["job_id"] == "job_1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"{}",
        b'{"target":7}',
        b'{"target":""}',
        b'{"target":"a","pipeline":7}',
        b'{"target":"a","metadata":[1]}',
        b'{"target":"a","metadata":{"a":1}}',
        b'{"target":"a","again":true}',
    ],
)
async def test_a_bad_order_is_refused_with_its_cure(private: Private, body: bytes) -> None:
    answer = await private.client.post("/api/jobs", content=body)
    assert answer.status_code == 422
    assert all(problem["cure"] for problem in answer.json()["problems"])
    assert private.acts.done == []


async def test_an_order_without_end_is_refused(private: Private) -> None:
    assert (await private.client.post("/api/jobs", content=b" " * 70_000)).status_code == 413


async def test_an_order_that_breaks_off_is_refused(private: Private, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.ops.jobs_api.BODY_WITHIN", 0.05)
    async with serving(private.app()) as port:
        assert (await sent(port, request("/api/jobs", b"", [("Content-Length", "9")], length=False))).status == 408


async def test_a_failed_job_is_sent_on_by_any_of_its_names(private: Private) -> None:
    for name in ("job_2", URI):
        answer = await private.client.post(f"/api/jobs/{quote(name, safe='')}/retry")
        assert answer.json() == {"job_id": "job_1", "run": 2}
    assert private.acts.done == [("retry", "job_2"), ("retry", URI)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused([Problem(place="a.mp3", what="no pipeline matches it", cure="name one")]), 422),
        (Permanent(Code.RECORDING_MISSING, "it is gone"), 409),
        (IllegalStep("published", "received"), 409),
        (LeaseLost(), 409),
        (KeyError("x"), 404),
        (Unavailable("the vendor does not answer"), 503),
        (StoreTrouble("locked"), 503),
        (TimeoutError(), 503),
        (ZeroDivisionError("text of a transcript"), 500),
    ],
)
async def test_every_trouble_is_a_status_and_a_sentence(private: Private, error: Exception, status: int) -> None:
    private.acts.trouble = error
    answer = await private.client.post("/api/jobs/job_1/retry")
    assert answer.status_code == status
    assert answer.json()["error"]
    assert "transcript" not in answer.text or status == 404
    private.shelf.trouble = StoreTrouble("locked")
    assert (await private.client.get("/api/jobs")).status_code == 503
