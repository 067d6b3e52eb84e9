"""Request bodies from strangers: bounded in size and in time."""

import asyncio

from starlette.types import Receive, Scope


class TooLarge(Exception):
    """More bytes than are taken."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Gone(Exception):
    """The other side hung up before the body was whole."""


class Body:
    """One request's body. `ended` is True once all of it has been taken off the connection."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        self._receive = receive
        self._declared = int(declared[:20]) if declared.isdigit() else 0
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self.ended = False

    async def read(self, *, at_most: int, within: float) -> bytes:
        """The whole body of `at_most` bytes, `within` so many seconds. Raises TooLarge, TooSlow, Gone."""
        if self._declared > at_most:
            raise TooLarge
        taken = bytearray()
        try:
            async with asyncio.timeout(within):
                while not self.ended:
                    taken += await self._chunk()
                    if len(taken) > at_most:
                        raise TooLarge
        except TimeoutError:
            raise TooSlow from None
        return bytes(taken)

    async def discard(self, *, at_most: int, within: float) -> None:
        """Take off what is still coming, up to these bounds, so that closing does not tear our answer away.

        Who waits for our leave to send gets none.
        """
        left = 0 if self._waits else at_most
        try:
            async with asyncio.timeout(within):
                while not self.ended and left > 0:
                    left -= max(len(await self._chunk()), 1)
        except (TimeoutError, Gone):
            return

    async def _chunk(self) -> bytes:
        self._waits = False
        message = await self._receive()
        if message["type"] != "http.request":
            raise Gone
        self.ended = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk
