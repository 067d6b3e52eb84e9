"""Ports for servers that must know theirs before they listen."""

import contextlib
import itertools
import os
import socket

NUMBERS = itertools.count(os.getpid())


def free_port() -> int:
    """A port that nobody has now, of a range of this test process's own.

    Below the ports that the system hands out by itself, so that no connection takes it before the service does.
    """
    first = 10_000 + 2_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in NUMBERS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", first + port % 2_000)):
            return first + port % 2_000
    raise AssertionError("the numbers never end")
