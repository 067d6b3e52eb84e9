"""Whether an answer of DynamoDB's is the one that it sent: botocore takes half of one for an empty one."""

import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from service.adapters.aws import Aws, AwsError

BROKEN: Final = "AnswerBroken"
CHECKSUM: Final = "x-amz-crc32"
REFUSALS: Final = 300
"""From this status on botocore reads the body for the refusal's name alone, and makes do without."""


def insist_on_whole_answers(aws: Aws) -> None:
    """From now on a call whose answer came damaged raises AwsError without a status, as one that has no answer."""
    aws.prepare("dynamodb", _insist)


def whole(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the body is all that was sent, as far as its checksum (DynamoDB's documentation) and its form tell.

    A lookup that found nothing is answered with an empty object: cut off, that of a row would say the same.
    """
    if status >= REFUSALS:
        return True
    said = headers.get(CHECKSUM)
    if said is not None and said != str(zlib.crc32(body)):
        return False
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def _insist(client: Any) -> None:
    client.meta.events.register("before-parse.dynamodb", _refuse_others, unique_id="afterword-whole-answers")


def _refuse_others(response_dict: Mapping[str, Any], **_: object) -> None:
    if not whole(response_dict["status_code"], response_dict["headers"], response_dict["body"]):
        raise AwsError("dynamodb", BROKEN, "its answer came damaged", status=None)
