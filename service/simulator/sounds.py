"""Recordings on the stand-in's disk: uploaded ones, and those fetched from where a request pointed."""

import asyncio
import hashlib
import re
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

import httpx2

from service.simulator.hearing import Recording
from service.simulator.wire import RefusedError

PIECE: Final = 1 << 20
EMPTY_UPLOAD: Final = (
    "Upload failed, please try again. If you continue to have issues please reach out to support@assemblyai.com"
)
_OWN: Final = re.compile(r"/upload/([0-9a-f]{32}/[0-9a-f-]{36})$")


class UndownloadableError(Exception):
    """Audio that cannot be had; the message is the transcript's `error`."""


class _TooLargeError(Exception):
    """More bytes than allowed."""


class Sounds:
    """Keeps recordings in a temporary folder that is gone after `close`."""

    def __init__(
        self, client: httpx2.AsyncClient, *, kept_bytes: int, download_bytes: int, download_seconds: float
    ) -> None:
        self._client = client
        self._folder = tempfile.TemporaryDirectory(prefix="stand-in-", ignore_cleanup_errors=True)
        self._uploads: dict[str, Recording] = {}
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._download_bytes = download_bytes
        self._download_seconds = download_seconds

    def close(self) -> None:
        self._folder.cleanup()

    def clear(self) -> None:
        self._uploads.clear()
        self._bytes = 0
        for path in Path(self._folder.name).iterdir():
            path.unlink(missing_ok=True)

    async def upload(self, chunks: AsyncIterator[bytes], limit: int) -> tuple[str, Recording]:
        """The new upload's path and recording, in constant memory. Raises RefusedError if it is empty or too large."""
        try:
            recording = await self._store(chunks, limit, uploaded=True)
        except _TooLargeError:
            raise RefusedError(413, "Request Entity Too Large") from None
        if recording.size == 0:
            self._unlink(recording)
            raise RefusedError(400, EMPTY_UPLOAD)
        key = f"{uuid.uuid4().hex}/{uuid.uuid4()}"
        self._uploads[key] = recording
        self._bytes += recording.size
        while self._bytes > self._kept_bytes and len(self._uploads) > 1:
            self._drop_oldest()
        return f"/upload/{key}", recording

    async def fetch(self, url: str) -> Recording:
        """The audio behind a URL: an upload of ours, or what http(s) gives. Raises UndownloadableError."""
        own = _OWN.search(url)
        if own is not None and own[1] in self._uploads:
            return self._uploads[own[1]]
        try:
            async with asyncio.timeout(self._download_seconds), self._client.stream("GET", url) as response:
                if not response.is_success:
                    kind = "Client" if response.is_client_error else "Server"
                    why = f"{response.status_code} {kind} Error: {response.reason_phrase} for url: {url}"
                    raise UndownloadableError(f"Download error to {url}, {why}")
                return await self._store(response.aiter_bytes(), self._download_bytes, uploaded=False)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, _TooLargeError) as error:
            advice = "Please make sure the file exists and is accessible from the internet."
            raise UndownloadableError(f"Download error, unable to download {url}. {advice}") from error

    def release(self, recording: Recording, *, deleted: bool) -> None:
        """Forgets a download once it was heard; an upload only once its transcript is deleted."""
        if not recording.uploaded:
            self._unlink(recording)
        elif deleted:
            for key in [key for key, other in self._uploads.items() if other is recording]:
                self._bytes -= self._uploads.pop(key).size
            self._unlink(recording)

    async def _store(self, chunks: AsyncIterator[bytes], limit: int, *, uploaded: bool) -> Recording:
        path = Path(self._folder.name) / uuid.uuid4().hex
        digest, waiting, size = hashlib.sha256(), bytearray(), 0

        def flush(file: IO[bytes]) -> None:
            file.write(waiting)
            digest.update(waiting)
            waiting.clear()

        try:
            with path.open("wb") as file:
                async for chunk in _bounded(chunks, limit):
                    size += len(chunk)
                    waiting += chunk
                    if len(waiting) >= PIECE:
                        await asyncio.to_thread(flush, file)
                flush(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Recording(path=path, sha256=digest.hexdigest(), size=size, uploaded=uploaded)

    def _drop_oldest(self) -> None:
        recording = self._uploads.pop(next(iter(self._uploads)))
        self._bytes -= recording.size
        self._unlink(recording)

    def _unlink(self, recording: Recording) -> None:
        recording.path.unlink(missing_ok=True)


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _TooLargeError
        yield chunk
