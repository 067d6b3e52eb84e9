"""The server's HTTP protocol with bounded heads. Importable only where httptools is."""

import asyncio
from typing import ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Bounded(HttpToolsProtocol):
    """Closes connections whose request's head is larger than HEAD_BYTES or takes longer than HEAD_WITHIN seconds.

    The server itself would take, and wait for, any amount.
    """

    HEAD_BYTES: ClassVar[int] = 32 * 1024
    HEAD_WITHIN: ClassVar[float] = 10.0

    _head: int = 0
    _open: bool = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._open = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._close_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        continued = self._open
        super().data_received(data)
        if not self._open or self.transport.is_closing():
            return
        self._head += len(data) if continued else 0
        if self._head > self.HEAD_BYTES:
            self.transport.close()
        elif self._late is None:
            self._await_head()

    def _await_head(self) -> None:
        self._late = self.loop.call_later(self.HEAD_WITHIN, self.transport.close)

    def _close_head(self) -> None:
        self._open = False
        self._head = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None
