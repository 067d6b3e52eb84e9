"""The vendor's live catalogue of models behind `ports.Catalogue`."""

import asyncio
from typing import Final

import httpx2
from pydantic import SecretStr

from service.adapters.assemblyai.exchange import Exchange, Request, ours
from service.adapters.assemblyai.refusals import Call
from service.adapters.assemblyai.wire_models import models
from service.domain.models.catalogue import Models

WITHIN: Final = 15.0
"""Seconds that the list may take."""


class LiveCatalogue:
    """Implements `ports.Catalogue`: what was heard last stays, however old, until something newer is heard."""

    def __init__(self, client: httpx2.AsyncClient, base_url: str, key: SecretStr | str) -> None:
        self._exchange = Exchange(client, base_url, key)
        self._host = base_url
        self._models: Models | None = None
        self._doubt = asyncio.Event()

    @property
    def models(self) -> Models | None:
        return self._models

    def doubt(self) -> None:
        self._doubt.set()

    async def doubted(self) -> None:
        await self._doubt.wait()

    async def refresh(self) -> None:
        # First: what is doubted from now on may be newer than the answer.
        self._doubt.clear()
        asked = Request(call=Call.MODELS, method="GET", path="/v1/models", silence=WITHIN)
        body = await self._exchange.body(asked, within=WITHIN)
        with ours(Call.MODELS, self._host):
            self._models = models(body)
