"""The vendor's LLM Gateway behind `ports.LanguageModel`."""

from collections.abc import Callable, Mapping

import httpx2
from pydantic import SecretStr

from service.adapters.assemblyai import wire_gateway as wire
from service.adapters.assemblyai.exchange import Exchange, Request, as_json, ours
from service.adapters.assemblyai.refusals import Call
from service.domain.completion import Completion

Observe = Callable[[str, Mapping[str, str]], None]
"""Is told the requested model and the headers of each answer, refusals included."""


class Gateway:
    """Implements `ports.LanguageModel` for one account in one region."""

    def __init__(
        self, client: httpx2.AsyncClient, base_url: str, key: SecretStr | str, observe: Observe | None = None
    ) -> None:
        self._exchange = Exchange(client, base_url, key)
        self._host = base_url
        self._observe = observe

    async def ask(self, request: Mapping[str, object], *, within: float) -> Completion:
        model = str(request.get("model", ""))

        def heard(headers: Mapping[str, str]) -> None:
            if self._observe is not None:
                self._observe(model, headers)

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
