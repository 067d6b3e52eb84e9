"""The vendor's LLM Gateway behind `ports.LanguageModel`."""

import time
from collections.abc import Callable, Mapping

import httpx2
from pydantic import SecretStr

from service.adapters.assemblyai import wire_gateway as wire
from service.adapters.assemblyai.exchange import Exchange, Request, as_json, ours
from service.adapters.assemblyai.refusals import Call
from service.domain.asking.completion import Completion

Observe = Callable[[str, Mapping[str, str], float], None]
"""Is told the requested model, the headers of each answer, refusals included, and the seconds that it took."""


class Gateway:
    """Implements `ports.LanguageModel` for one account in one region."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        base_url: str,
        key: SecretStr | str,
        observe: Observe | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = Exchange(client, base_url, key)
        self._monotonic = monotonic
        self._host = base_url
        self._observe = observe

    async def ask(self, request: Mapping[str, object], *, within: float) -> Completion:
        model, sent_at = str(request.get("model", "")), self._monotonic()

        def heard(headers: Mapping[str, str]) -> None:
            if self._observe is not None:
                self._observe(model, headers, self._monotonic() - sent_at)

        sent = Request(
            call=Call.ASK,
            method="POST",
            path="/v1/chat/completions",
            headers={"content-type": "application/json"},
            content=as_json(Call.ASK, request),
            silence=within,
            heard=heard,
        )
        body = await self._exchange.body(sent, within=within)
        with ours(sent.call, self._host):
            return wire.completion(body, model)
