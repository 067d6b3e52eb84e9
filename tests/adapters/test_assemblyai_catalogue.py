"""The live catalogue: what is read of it, and what stays when nothing good is heard."""

import asyncio
from typing import Any

import pytest

from service.adapters.assemblyai import wire_models
from service.adapters.assemblyai.catalogue import LiveCatalogue
from service.adapters.assemblyai.client import open_client
from service.domain.errors import Permanent, Transient, Unavailable
from service.domain.models.catalogue import Model
from tests.adapters.canned_vendor import RESET, answer, canned_vendor

pytestmark = pytest.mark.anyio

TOLD: dict[str, Any] = {
    "id": "m-1",
    "context_length": 200_000,
    "supported_parameters": ["max_tokens", "temperature"],
    "top_provider": {"context_length": 100, "max_completion_tokens": 32_000},
    "pricing": {"global": {"prompt": 3e-6, "completions": 15e-6}},
    "retirement_date": 1_800_000_000,
}
READ = Model(
    id="m-1",
    context=200_000,
    most_output=32_000,
    parameters=frozenset({"max_tokens", "temperature"}),
    retires_at=1_800_000_000,
    input_price=3e-6,
    output_price=15e-6,
)


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({}, {}),
        ({"retirement_date": 0}, {"retires_at": None}),
        ({"retirement_date": -1e20}, {"retires_at": None}),
        ({"retirement_date": "soon"}, {"retires_at": None}),
        ({"supported_parameters": None}, {"parameters": None}),
        ({"context_length": None}, {"context": 100}),
        ({"context_length": -5, "top_provider": None}, {"context": None, "most_output": None}),
        ({"pricing": []}, {"input_price": None, "output_price": None}),
    ],
)
async def test_what_a_model_does_not_tell_is_not_known(changes: dict[str, Any], read: dict[str, Any]) -> None:
    async with canned_vendor() as vendor, open_client() as client:
        vendor.will(answer(body={"data": [TOLD | changes, {"id": None}, {"id": "x" * 201}, "?"]}))
        catalogue = LiveCatalogue(client, vendor.url, "the-key")
        assert catalogue.models is None
        await catalogue.refresh()
    assert catalogue.models == {"m-1": READ.model_copy(update=read)}
    assert vendor.asked[0].line == "GET /v1/models HTTP/1.1"


@pytest.mark.parametrize(
    "bad",
    [
        answer(503),
        answer(401, {"error": "Authentication error", "status": "error"}),
        answer(body=b"<html>"),
        answer(body={"data": None}),
        answer(body={"data": []}),
        answer(body=b'{"data": [' + b" " * (4 * 1024 * 1024) + b"]}"),
        RESET,
    ],
    ids=["503", "401", "html", "null", "empty", "endless", "reset"],
)
async def test_what_was_heard_last_stays_until_something_good_is_heard(bad: bytes) -> None:
    async with canned_vendor() as vendor, open_client() as client:
        vendor.will(answer(body={"data": [TOLD]}), bad, answer(body={"data": [TOLD | {"id": "m-2"}]}))
        catalogue = LiveCatalogue(client, vendor.url, "the-key")
        await catalogue.refresh()
        with pytest.raises((Transient, Permanent)):
            await catalogue.refresh()
        assert catalogue.models == {"m-1": READ}
        await catalogue.refresh()
        assert set(catalogue.models) == {"m-2"}


async def test_a_list_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.adapters.assemblyai.catalogue.WITHIN", 0.2)
    async with canned_vendor() as vendor, open_client() as client:
        vendor.will(b"drip")
        with pytest.raises(Unavailable, match="did not answer in time"):
            await LiveCatalogue(client, vendor.url, "the-key").refresh()


def test_a_list_without_end_is_read_in_part() -> None:
    many = b'{"data": [' + b",".join(b'{"id": "m-%d"}' % number for number in range(1500)) + b"]}"
    assert len(wire_models.models(many)) == 1000


async def test_a_doubt_lasts_until_the_catalogue_is_heard_anew() -> None:
    async with canned_vendor() as vendor, open_client() as client:
        vendor.will(answer(body={"data": [TOLD]}))
        catalogue = LiveCatalogue(client, vendor.url, "the-key")
        catalogue.doubt()
        await catalogue.doubted()
        await catalogue.refresh()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await catalogue.doubted()
