"""Both clients before a canned vendor, and one call of each kind."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from service.adapters.assemblyai.client import open_client
from service.adapters.assemblyai.gateway import Gateway
from service.adapters.assemblyai.renditions import Renditions
from service.adapters.assemblyai.transcripts import Transcripts
from service.domain.job import TranscriptId
from tests.adapters.canned_vendor import CannedVendor, canned_vendor

SOME = TranscriptId("t-1")
COMPLETED = {"id": "t-1", "status": "completed", "text": "Hello", "words": []}
LOOKUP = {"error": "Transcript lookup error, transcript id not found"}


@dataclass
class Clients:
    vendor: CannedVendor
    transcripts: Transcripts
    renditions: Renditions
    gateway: Gateway
    heard: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)


@asynccontextmanager
async def clients(url: str | None = None, *, connections: int = 256) -> AsyncIterator[Clients]:
    """Clients of a canned vendor, or of whatever listens at `url`."""
    heard: list[tuple[str, Mapping[str, str]]] = []
    async with canned_vendor() as vendor, open_client(connections=connections) as client:
        at = url or vendor.url
        gateway = Gateway(client, at, "the-key", observe=lambda model, headers, _: heard.append((model, headers)))
        transcripts = Transcripts(client, at + "/", SecretStr("the-key"))
        renditions = Renditions(client, at + "/", SecretStr("the-key"))
        yield Clients(vendor, transcripts, renditions, gateway, heard)


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


Act = Callable[[Clients], Awaitable[Any]]


async def upload(wired: Clients) -> str:
    return await wired.transcripts.upload(chunks(b"abc", b"def"), 6)


async def submit(wired: Clients) -> TranscriptId:
    return await wired.transcripts.submit({"audio_url": "https://h/k"}, within=5)


async def ask(wired: Clients) -> Any:
    return await wired.gateway.ask({"model": "m-1", "messages": []}, within=5)


READS: list[Act] = [
    lambda wired: wired.transcripts.read(SOME),
    lambda wired: wired.transcripts.recent(),
    lambda wired: wired.renditions.captions(SOME, "srt"),
    lambda wired: wired.renditions.paragraphs(SOME),
    lambda wired: wired.renditions.redacted_audio(SOME),
    lambda wired: wired.transcripts.delete(SOME),
]
BILLED: list[Act] = [submit, ask]
FREE: list[Act] = [*READS, upload]
