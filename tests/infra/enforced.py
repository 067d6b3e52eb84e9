"""The emulator asking for permission, behind what ends TLS; and people and services with policies of their own."""

import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.emulator import Emulator, emulating

HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding", "date", "server"}
REFUSED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass
class Gate:
    """What stands before the emulator: says that the connection was encrypted, and hears every refusal."""

    url: str = ""
    refusals: list[str] = field(default_factory=list)
    unlisting: set[str] = field(default_factory=set)
    """Access keys that may list no bucket: S3 refuses them what is missing (S3's documentation), emulators tell."""


@contextmanager
def gated(upstream: str) -> Iterator[Gate]:
    """A gate before the emulator at `upstream`."""
    gate = Gate()
    address = urlsplit(upstream).netloc

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """In silence."""

        def handle_expect_100(self) -> bool:
            going_on = super().handle_expect_100()
            self.wfile.flush()
            return going_on

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            upstream = http.client.HTTPConnection(address, timeout=30)
            upstream.request(self.command, self.path, body, {**kept, "x-forwarded-proto": "https"})
            answer = upstream.getresponse()
            status, told = answer.status, answer.read()
            upstream.close()
            if status == 404 and self._key() in gate.unlisting and b"NoSuchBucket" not in told:
                status, told = 403, REFUSED
            if status == 403 or b"AccessDenied" in told:
                what = self.headers.get("x-amz-target") or f"{self.command} {self.path}"
                gate.refusals.append(f"{what}: {told[:300].decode(errors='replace')}")
            self.send_response_only(status)
            for name, value in answer.getheaders():
                if name.lower() not in {*HOP_BY_HOP, "content-length"} - {"date"}:
                    self.send_header(name, value)
            length = answer.getheader("content-length", "0") if self.command == "HEAD" else len(told)
            self.send_header("content-length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  # http.server's names

        def _key(self) -> str:
            found = re.search(r"Credential=([^/%]+)", self.headers.get("authorization", "") + self.path)
            return found[1] if found else ""

    with ThreadingHTTPServer(("127.0.0.1", 0), Passing) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="gate")
        thread.start()
        gate.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield gate
        finally:
            server.shutdown()
            thread.join(10)


@dataclass(frozen=True)
class Enforced:
    """An emulator that enforces IAM. `plain` is the way to it without encryption."""

    emulator: Emulator
    gate: Gate
    plain: str

    def somebody(self, policy: Mapping[str, Any]) -> dict[str, str]:
        """The environment of somebody who may do just this."""
        iam, name = self.emulator.client("iam"), self.emulator.name("somebody")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=_as_emulated(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        if "s3:ListBucket" not in json.dumps(policy):
            self.gate.unlisting.add(key["AccessKeyId"])
        return {
            **self.emulator.environment,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }


def _as_emulated(policy: Mapping[str, Any]) -> str:
    """Batches need the permission of what is in them (AWS's documentation); in the emulator they have their own."""
    document = json.dumps(policy)
    for action in ("sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
        document = document.replace(f'"{action}"', f'"{action}", "{action}Batch"')
    if "dynamodb:PartiQLUpdate" not in document:
        return document
    batches = {"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}
    whole = json.loads(document)
    return json.dumps({**whole, "Statement": [*whole["Statement"], batches]})


@contextmanager
def enforcing(folder: Path) -> Iterator[Enforced]:
    with emulating(folder / "log", AUTH="true") as emulator, gated(emulator.url) as gate:
        yield Enforced(Emulator(gate.url), gate, emulator.url)
