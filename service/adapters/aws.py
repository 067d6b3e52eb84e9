"""Talking to AWS: one session a process, a thread for each call, and the wall where botocore's errors stop.

Credentials, region and endpoints are boto3's own business (AWS_REGION, AWS_ENDPOINT_URL …). Importing botocore takes
longer than the rest of the start together, so it happens with the first call and never where no engine is AWS's.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread

T = TypeVar("T")

CALLS_AT_ONCE: Final = 32
"""Calls to one AWS service at once; one that hangs must not take the threads of the others."""
CONNECT_WITHIN: Final = 3.0
ANSWER_WITHIN: Final = 8.0
POLL_WITHIN: Final = 15.0
"""An answer of SQS, which holds a poll for some seconds on purpose; a process that stops may wait for as long."""
ATTEMPTS: Final = 3
"""Of each call, by botocore, with its pauses; whoever calls decides what follows when none of them went through."""
LONGEST_MESSAGE: Final = 300


class AwsError(Exception):
    """AWS refused a call, or did not answer. The message is AWS's own words, one bounded line.

    `code` is AWS's (`ConditionalCheckFailedException`, `NoSuchKey`, `404` of a HEAD …) or botocore's name of what went
    wrong on the way. `status` is None when no answer came: the call may have been carried out. `answer` is the whole
    parsed response, for the little that AWS tells beside the code.
    """

    def __init__(
        self, service: str, code: str, message: str, *, status: int | None, answer: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{service} says {code}: {message}" if message else f"{service} says {code}")
        self.service = service
        self.code = code
        self.message = message
        self.status = status
        self.answer = answer or {}

    @property
    def denied(self) -> bool:
        """Whether credentials or permissions are missing: waiting does not help, a person must."""
        return self.code in DENIED or (self.status == 403 and self.code not in THROTTLED)  # noqa: PLR2004

    @property
    def throttled(self) -> bool:
        return self.code in THROTTLED


DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "NoRegionError",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredToken",
        "ExpiredTokenException",
    }
)
THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottlingException",
    }
)


class Aws:
    """The clients of one process, each made when it is first needed and closed at the end.

    `attempts` are made of each call, and each waits `within` seconds for an answer (by default as long as work may).
    """

    def __init__(self, *, attempts: int = ATTEMPTS, within: float | None = None) -> None:
        self._attempts = attempts
        self._within = within
        self._closed = False
        self._session: Any = None
        self._prepared: dict[str, list[Callable[[Any], None]]] = {}
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._making = threading.Lock()
        self._limits: dict[str, anyio.CapacityLimiter] = {}

    async def call(
        self, service: str, operation: str, *, region: str | None = None, **parameters: Any
    ) -> Mapping[str, Any]:
        """One call, such as `call("s3", "head_object", Bucket=…, Key=…)`; `region` as for `run`. Raises AwsError."""
        return await self.run(service, lambda client: getattr(client, operation)(**parameters), region=region)

    async def run(self, service: str, act: Callable[[Any], T], *, region: str | None = None) -> T:
        """What `act` does with the service's client in a thread, where it goes on to its end should we be cancelled.

        `region` is for what names its own (an ARN); without, boto3's settings tell it. Raises AwsError.
        """
        limit = self._limits.setdefault(service, anyio.CapacityLimiter(CALLS_AT_ONCE))

        def call() -> T:
            return told(service, lambda: act(self.client(service, region)))

        return await to_thread.run_sync(call, limiter=limit)

    def client(self, service: str, region: str | None = None) -> Any:
        """The client itself, for use in a thread. Raises what botocore raises where it cannot be made."""
        with self._making:
            known = self._clients.get((service, region))
            if known is not None:
                return known
            client = self._made(service, region)
            for act in self._prepared.get(service, ()):
                act(client)
            # One without credentials never gets any, and a machine that has just started may not have them yet.
            if self._opened().get_credentials() is not None:
                self._clients[service, region] = client
            return client

    def prepare(self, service: str, act: Callable[[Any], None]) -> None:
        """Have `act` done to each of the service's clients before anybody uses it."""
        with self._making:
            self._prepared.setdefault(service, []).append(act)
            for (made, _), client in self._clients.items():
                if made == service:
                    act(client)

    def credentials(self) -> Any:
        """boto3's own, None where it finds none; for use in a thread, since looking for them may take a while."""
        with self._making:
            return self._opened().get_credentials()

    def close(self) -> None:
        """Let go of all connections. A call that is out ends with its answer, and is not tried again."""
        self._closed = True
        with self._making:
            while self._clients:
                self._clients.popitem()[1].close()

    def _made(self, service: str, region: str | None) -> Any:
        from botocore.config import Config  # noqa: PLC0415

        elsewhere = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_S3")
        config = Config(
            connect_timeout=CONNECT_WITHIN,
            read_timeout=self._within or (POLL_WITHIN if service == "sqs" else ANSWER_WITHIN),
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            max_pool_connections=CALLS_AT_ONCE,
            signature_version="s3v4" if service == "s3" else None,
            # Whoever stands in for S3 rarely has a name for each bucket.
            s3={"addressing_style": "path" if elsewhere else "virtual"},
        )
        # boto3 itself reads only AWS_DEFAULT_REGION.
        here = region or os.environ.get("AWS_REGION") or None
        client = self._opened().client(service, region_name=here, config=config)
        client.meta.events.register("before-send", self._unless_closed)
        return client

    def _unless_closed(self, **_: object) -> None:
        # A process waits for its threads before it ends: three attempts at what does not answer take minutes.
        if self._closed:
            raise AwsError("AWS", "Closed", "", status=None)

    def _opened(self) -> Any:
        # What botocore imports takes most of a second: only a process that needs it pays for it.
        import boto3.session  # noqa: PLC0415

        if self._session is None:
            # One for all clients: each has credentials of its own to fetch and to renew.
            self._session = boto3.session.Session()
        return self._session


def told(service: str, act: Callable[[], T]) -> T:
    """What `act` gives. Raises AwsError for whatever botocore raises, and nothing of botocore's."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415  # see above
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        return act()
    except ClientError as error:
        answer: Mapping[str, Any] = error.response
        said = answer.get("Error", {})
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code, message = str(said.get("Code", "Unknown")), str(said.get("Message", ""))
        raise AwsError(service, code, _line(message), status=status or 0, answer=answer) from None
    except (HTTPClientError, BotoCoreError, HTTPError) as error:
        # Their words may hold a whole URL, presigned or not: what kind it is says enough. The last kind are those that
        # a body breaks off with and that botocore lets through.
        raise AwsError(service, type(error).__name__, "", status=None) from None


def _line(message: str) -> str:
    return " ".join(message.split())[:LONGEST_MESSAGE]
