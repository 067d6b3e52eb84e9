"""An S3 that reads out one large object and breaks off on the way, as often as it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = "0" * 32
BLOCK = bytes(range(256)) * 256


@dataclass
class Object:
    """`breaks` tells how many bytes each of the first answers sends before its connection is cut."""

    size: int
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    etag: str = ETAG
    url: str = ""


@contextmanager
def reading_out(served: Object) -> Iterator[Object]:
    """The object, at `url` for any bucket and key."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            served.asked.append(asked)
            if self.headers.get("If-Match", f'"{served.etag}"') != f'"{served.etag}"':
                self.send_response(412)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            begin = int(asked[len("bytes=") : -1]) if asked and served.ranges else 0
            self.send_response(206 if begin else 200)
            self.send_header("ETag", f'"{served.etag}"')
            self.send_header("Content-Length", str(served.size - begin))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{served.size - 1}/{served.size}")
            self.end_headers()
            self._body(begin, min(served.size, begin + served.breaks.pop(0)) if served.breaks else served.size)

        def _body(self, begin: int, end: int) -> None:
            while begin < end:
                first = begin % len(BLOCK)
                piece = BLOCK[first : first + end - begin]
                self.wfile.write(piece)
                begin += len(piece)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
