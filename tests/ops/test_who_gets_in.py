"""Nobody gets in: tokens, names of this machine, and other sites' pages."""

import re
from html.parser import HTMLParser

import httpx2
import pytest
from starlette.routing import Route

from service.ops.app import _routes, content_policy
from service.ops.guard import loopback
from service.ops.jobs_api import JobsApi
from service.ops.metrics import Scrapes
from service.ops.openapi import OPENAPI
from service.stages.overview import overview
from tests.ops.conftest import NOW, Private
from tests.receiver.loopback import Answer, request, sent, serving

pytestmark = pytest.mark.anyio

TOKEN = "t" * 40


async def asked(
    private: Private, headers: list[tuple[str, str]], path: str = "/api/jobs", method: str = "GET"
) -> Answer:
    async with serving(private.app(TOKEN)) as port:
        return await sent(port, request(path, b"", headers, method=method))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", "Bearer ")],
        [("Authorization", TOKEN)],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", "Bearer \xe9")],
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/job_1", "/api/jobs/job_1/retry", "/nothing"])
async def test_with_a_token_set_nothing_is_told_without_it(
    private: Private, headers: list[tuple[str, str]], path: str
) -> None:
    answer = await asked(private, headers, path, "POST" if path.endswith("retry") else "GET")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert private.acts.done == []


async def test_who_bears_the_token_gets_in_by_any_name(private: Private) -> None:
    headers = [("Authorization", f"bearer {TOKEN}"), ("Host", "ops.internal:9090")]
    assert (await asked(private, headers)).status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/openapi.json"])
async def test_what_tells_of_no_recording_needs_no_token(private: Private, path: str) -> None:
    assert (await asked(private, [], path)).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "10.0.0.1", "", "[::"])
async def test_without_a_token_a_name_that_merely_leads_here_is_refused(private: Private, host: str) -> None:
    for path in ("/", "/metrics", "/api/jobs"):
        assert (await private.client.get(path, headers={"Host": host})).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "127.8.9.1", "[::1]:9090", "[::1]"])
def test_loopback_goes_by_its_own_names(host: str) -> None:
    assert loopback(host)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_sites_page_cannot_set_anything_going(private: Private, headers: dict[str, str]) -> None:
    assert (await private.client.post("/api/jobs/job_2/retry", headers=headers)).status_code == 403
    assert (await private.client.post("/api/jobs", headers=headers, json={"target": "/etc/passwd"})).status_code == 403
    assert private.acts.done == []


async def test_the_consoles_own_page_can(private: Private) -> None:
    origin = {"Origin": str(private.client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert (await private.client.post("/api/jobs/job_2/retry", headers=origin)).status_code == 200


async def test_every_answer_forbids_what_the_console_does_not_need(private: Private) -> None:
    for path in ("/", "/api/jobs", "/nothing"):
        headers = (await private.client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]


async def test_the_console_is_one_page_that_asks_nobody_else(private: Private) -> None:
    page = (await private.client.get("/")).text
    read = Page()
    read.feed(page)
    names = {name for _, name, _ in read.attributes}
    assert not names & {"src", "href", "style", "action", "srcset"}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|@import|url\(", page)


def test_the_policy_lets_in_exactly_the_pages_own_script_and_style() -> None:
    policy = content_policy("<style>a{}</style><script>1</script>")
    assert policy.count("'sha256-") == 2
    assert policy != content_policy("<style>a{}</style><script>2</script>")
    assert "unsafe" not in policy


async def test_openapi_tells_of_every_route_of_the_api_and_of_no_other(private: Private) -> None:
    scrapes = Scrapes(private.metrics, lambda: overview(private.shelf, private.shelf, NOW), clock=lambda: 0.0)
    api = JobsApi(private.shelf, private.acts, lambda: NOW)
    routes: list[Route] = [route for route in _routes(api, scrapes, "") if route.path.startswith("/api/jobs")]
    served = {(route.path.replace(":path", ""), method) for route in routes for method in (route.methods or ())}
    told = {(path, method.upper()) for path, verbs in OPENAPI["paths"].items() for method in verbs}
    assert {one for one in served if one[1] != "HEAD"} == told
    assert (await private.client.get("/api/openapi.json")).json() == OPENAPI


async def test_openapi_tells_of_every_field_it_requires_and_every_reference_it_makes(private: Private) -> None:
    schemas = OPENAPI["components"]["schemas"]
    shown = (await private.client.get("/api/jobs/job_1")).json()
    assert set(schemas["Job"]["properties"]) <= set(shown)
    for name in re.findall(r"#/components/schemas/(\w+)", str(OPENAPI)):
        assert name in schemas


async def test_there_is_nothing_else(private: Private) -> None:
    answers: list[httpx2.Response] = [
        await private.client.get("/callbacks/job_1"),
        await private.client.get("/api"),
        await private.client.get("/healthz/"),
        await private.client.delete("/api/jobs/job_1"),
        await private.client.post("/metrics"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 405, 405]
