"""URLs that let whoever has one read an object for a while, and how long what signs them lasts."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from anyio import to_thread

from service.adapters.aws import Aws, told
from service.domain.job import JobId

JOB: Final = "x-afterword-job"
"""The parameter that makes each job's URL its own: S3 passes over what begins with `x-`, but signs it too."""

UNTOLD: Final = 3600.0
"""Seconds that temporary credentials are taken to last when they do not say (STS's documentation: the default)."""


def naming_jobs(client: Any) -> None:
    """Have the S3 client take `x-afterword-job` among the parameters of `get_object` when it presigns one."""
    # botocore knows no such parameter, so it is laid aside before the others are checked and is back to be signed.
    client.meta.events.register("provide-client-params.s3.GetObject", _laid_aside, unique_id=f"{JOB}-aside")
    client.meta.events.register("before-sign.s3.GetObject", _put_back, unique_id=f"{JOB}-back")


def presigned(client: Any, parameters: Mapping[str, str], job_id: JobId, lifetime: int) -> str:
    """A URL that reads the object for `lifetime` seconds, by a client that names jobs; for use in a thread."""
    url: str = client.generate_presigned_url("get_object", Params={**parameters, JOB: job_id}, ExpiresIn=lifetime)
    return url


async def credentials_last(aws: Aws, clock: Callable[[], float]) -> float | None:
    """Seconds until the credentials expire, and with them every URL that they sign; None for those that do not.

    `clock` gives epoch seconds. Without any credentials there is nothing to last: 0. Raises AwsError.
    """
    expires_at = await to_thread.run_sync(told, "s3", lambda: _expiry(aws, clock))
    return None if expires_at is None else max(0.0, expires_at - clock())


def _expiry(aws: Aws, clock: Callable[[], float]) -> float | None:
    credentials = aws.credentials()
    if credentials is None:
        return clock()
    # Those that are fetched when first needed know only then.
    frozen = credentials.get_frozen_credentials()
    expiry = getattr(credentials, "_expiry_time", None)
    if expiry is not None:
        return float(expiry.timestamp())
    return clock() + UNTOLD if frozen.token else None


def _laid_aside(params: Mapping[str, Any], context: dict[str, Any], **_: object) -> Mapping[str, Any]:
    context[JOB] = params.get(JOB)
    return {name: value for name, value in params.items() if name != JOB}


def _put_back(request: Any, **_: object) -> None:
    if request.context.get(JOB):
        request.params[JOB] = request.context[JOB]
