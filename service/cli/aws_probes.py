"""Trying what of AWS the service will need; nothing that is tried leaves a trace, and nothing is waited for long."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from service.adapters.aws import Aws, AwsError
from service.adapters.credentials import lacking
from service.adapters.drops import queue_check
from service.adapters.events import sns
from service.adapters.jobs.dynamodb_calls import APART_AT_MOST
from service.adapters.jobs.dynamodb_checks import lifetime_problems, table_problems
from service.adapters.recordings.presigning import credentials_last
from service.cli.figures import lasting
from service.cli.tried import Tried
from service.domain.errors import StorageTrouble
from service.domain.objects import ObjectPlace
from service.settings.groups import DropsPlace, EventsPlace, JobStore, ResultsPlace, Work
from service.settings.load import Settings
from service.settings.places import Bucket, DynamoTable, Queue, Topic

ATTEMPTS: Final = 2
WITHIN: Final = 4.0
"""Seconds for each attempt: with its pauses a probe is through after about ten, whatever hangs."""
NO_ETAG: Final = '"00000000000000000000000000000000"'
"""No object has it: a put that asks for it is refused, and writes nothing."""
UNMET: Final = frozenset({404, 409, 412})
ROOM: Final = "see that AWS's endpoint and region are right and can be reached from here"
RANGE: Final = "bytes=0-0"
READ: Final = frozenset({"NoSuchKey", "InvalidRange"})
"""There is nothing, or nothing in it: whoever hears that may read."""

PLACES: Final = ("AWS", "AWS_REGION")

Probe = Callable[[], Awaitable[None]]


async def probe(settings: Settings, recordings: Sequence[ObjectPlace], aws: Aws, tried: Tried) -> None:
    """Try what the settings at hand name, and that these recordings can be read; all at once.

    Of a machine without credentials or a region only that is told, in a problem of one of PLACES.
    """
    probes = _probes(settings, recordings, aws, tried)
    if probes and await _equipped(aws, tried):
        await asyncio.gather(*(each() for each in probes))


def _probes(settings: Settings, recordings: Sequence[ObjectPlace], aws: Aws, tried: Tried) -> Sequence[Probe]:
    groups, probes = settings.groups, list[Probe]()
    if JobStore in groups and isinstance(table := settings.jobs.place, DynamoTable):
        probes.append(lambda: _table(aws, table.name, tried))
    if DropsPlace in groups and isinstance(queue := settings.drops.place, Queue):
        probes.append(lambda: _queue(aws, queue.url, tried))
    if EventsPlace in groups and isinstance(topic := settings.events.place, Topic):
        probes.append(lambda: _topic(aws, topic.arn, tried))
    if ResultsPlace in groups and isinstance(bucket := settings.results.place, Bucket):
        probes.append(lambda: _results(aws, bucket, tried))
    if (DropsPlace in groups and isinstance(settings.drops.place, Queue) and Work in groups) or recordings:
        probes.append(lambda: _credentials(aws, settings, tried))
    return [*probes, *(_reader(aws, place, tried) for place in recordings)]


def _reader(aws: Aws, place: ObjectPlace, tried: Tried) -> Probe:
    return lambda: _recording(aws, place, tried)


async def _equipped(aws: Aws, tried: Tried) -> bool:
    """Whether there are a region and credentials at all: without, every other probe would say the same."""
    try:
        await aws.run("dynamodb", lambda client: client.meta.region_name)
        found = await asyncio.to_thread(aws.credentials)
    except AwsError as error:
        what, cure = lacking(error) or (f"AWS cannot be asked ({error.code})", "mend AWS's settings")
        tried.bad(PLACES[error.code == "NoRegionError"], what, cure)
        return False
    if found is None:
        what, cure = lacking(AwsError("sts", "NoCredentialsError", "", status=None)) or ("", "")
        tried.bad("AWS", what, cure)
        return False
    return True


async def _table(aws: Aws, table: str, tried: Tried) -> None:
    place = "AFTERWORD_JOBS"
    try:
        problems = await table_problems(aws, table)
        tried.problems += problems
        if not problems:
            tried.warnings += await lifetime_problems(aws, table)
    except AwsError as error:
        tried.bad(place, f"the table {table} cannot be asked about ({error.code})", _cure(error, ROOM))
        return
    apart = await _apart(aws)
    if apart is not None and abs(apart) > APART_AT_MOST:
        what = f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} DynamoDB's"
        tried.bad(place, what, "set it by the time service: with such a clock no job is taken")


async def _apart(aws: Aws) -> float | None:
    """Seconds that our clock is ahead of AWS's, as far as a header of whole seconds tells."""
    try:
        answer = await aws.call("dynamodb", "describe_limits")
    except AwsError as error:
        answer = error.answer
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        # It names the second that had begun.
        return time.time() - parsedate_to_datetime(said).timestamp() - 0.5
    except (TypeError, ValueError):
        return None


async def _queue(aws: Aws, url: str, tried: Tried) -> None:
    problems, doubts = await queue_check.problems(aws, url)
    tried.problems += problems
    tried.warnings += doubts


async def _topic(aws: Aws, arn: str, tried: Tried) -> None:
    try:
        tried.problems += await sns.problems(aws, arn)
    except StorageTrouble as trouble:
        what, _, cure = trouble.message.rpartition("; ")
        tried.bad("AFTERWORD_EVENTS", what, cure)


async def _results(aws: Aws, bucket: Bucket, tried: Tried) -> None:
    place, key = "AFTERWORD_RESULTS", f"{bucket.prefix}readiness"
    refused = await _refusal(aws, lambda s3: _first_byte(s3, bucket.name, key))
    if refused is not None and refused.code not in READ:
        tried.bad(place, *_unread(bucket.name, refused, f"the bucket {bucket.name}"))
        return

    def put(s3: Any) -> None:
        s3.put_object(Bucket=bucket.name, Key=key, Body=b"", IfMatch=NO_ETAG)

    refused = await _refusal(aws, put)
    if refused is None:
        what = f"the bucket {bucket.name} writes whatever the condition says"
        tried.bad(place, what, f"name one with conditional writes, as S3 has, and delete {key} from this one")
    elif refused.status not in UNMET:
        what = f"the bucket {bucket.name} cannot be written to ({refused.code})"
        tried.bad(place, what, _cure(refused, "allow s3:PutObject there, and kms:GenerateDataKey if it has a key"))


async def _recording(aws: Aws, place: ObjectPlace, tried: Tried) -> None:
    refused = await _refusal(aws, lambda s3: _first_byte(s3, place.bucket, place.key))
    if refused is not None and refused.code not in READ:
        tried.bad(place.uri, *_unread(place.bucket, refused, "it"))


async def _credentials(aws: Aws, settings: Settings, tried: Tried) -> None:
    if Work not in settings.groups or settings.work.audio != "presign":
        return
    last, lifetime = await credentials_last(aws, time.time), settings.work.url_lifetime
    if last is not None and last < lifetime:
        what = f"the AWS credentials end in about {lasting(last)}, and with them the URLs that they sign"
        cure = "a recording that AssemblyAI fetches later is submitted again; with AFTERWORD_AUDIO=upload none waits"
        tried.doubt("AFTERWORD_URL_LIFETIME", f"{what}, before the {lasting(lifetime)} that they are to hold", cure)


def _first_byte(s3: Any, bucket: str, key: str) -> None:
    # Not a HEAD: that says the same of a missing bucket and of a missing key.
    s3.get_object(Bucket=bucket, Key=key, Range=RANGE)["Body"].close()


async def _refusal(aws: Aws, ask: Callable[[Any], None]) -> AwsError | None:
    try:
        await aws.run("s3", ask)
    except AwsError as error:
        return error
    return None


def _unread(bucket: str, error: AwsError, what: str) -> tuple[str, str]:
    if error.code == "NoSuchBucket":
        return f"there is no bucket {bucket}", "deploy the stack that makes it, or name another one"
    return f"{what} cannot be read ({error.code})", _cure(
        error, "allow s3:GetObject there, and s3:ListBucket on the bucket"
    )


def _cure(error: AwsError, permission: str) -> str:
    missing = lacking(error)
    if missing is not None:
        return missing[1]
    return permission if error.denied else ROOM
