"""Events as messages of an SNS topic."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Final

import orjson

from service.adapters.aws import Aws, AwsError
from service.domain.errors import Problem, StorageTrouble
from service.domain.events import Attribute

SERVICE: Final = "sns"

LONGEST_NUMBER: Final = 38
"""Digits, sign and point of a number that SNS takes as one; its documentation promises so many digits."""

_ID: Final = re.compile(r"[!-~]{1,128}")
"""What SNS takes as a group or a deduplication id."""

_UNTAKEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no message may hold: what XML 1.0 cannot carry."""

LARGEST: Final = 256 * 1024
"""Bytes that a topic takes at once, attributes included."""


class SnsEvents:
    """ports.Events over a topic, named by its ARN, in the ARN's own region; FIFO if the ARN ends in `.fifo`.

    What a subscriber filters on is in the message's attributes; its text is the event, to the byte.
    """

    def __init__(self, aws: Aws, topic_arn: str) -> None:
        self._aws = aws
        self._arn = topic_arn

    async def publish(self, body: bytes, attributes: Mapping[str, Attribute], group: str, event_id: str) -> None:
        """One message; on a FIFO topic in the order of its group, and once in five minutes. Raises StorageTrouble."""
        told = {name: _attribute(value) for name, value in attributes.items()}
        message: dict[str, object] = {"Message": body.decode(), "MessageAttributes": told}
        if is_fifo(self._arn):
            message |= {"MessageGroupId": _fit(group), "MessageDeduplicationId": _fit(event_id)}
        try:
            await self._aws.call(SERVICE, "publish", region=_region(self._arn), TopicArn=self._arn, **message)
        except AwsError as error:
            what, cure = _trouble(self._arn, error, _values(told))
            raise StorageTrouble(f"{what}; {cure}, and the events follow") from error


def is_fifo(arn: str) -> bool:
    """Whether the topic keeps the order of each recording's events; only then its name may end so."""
    return arn.endswith(".fifo")


async def problems(aws: Aws, arn: str) -> Sequence[Problem]:
    """Why events cannot be told to the topic until a person mends it. Needs `sns:Publish` and nothing else.

    It asks for a message that SNS must refuse: which refusal comes tells whether the topic is there and may be
    published to, and no subscriber gets anything. Raises StorageTrouble when that could not be found out.
    """
    # Refused twice over: no JSON where JSON is asked for, and longer than any topic takes.
    unsendable = {"Message": "x" * (LARGEST + 1), "MessageStructure": "json"}
    try:
        await aws.call(SERVICE, "publish", region=_region(arn), TopicArn=arn, **unsendable)
    except AwsError as error:
        if _about_the_message(error):
            return ()
        what, cure = _trouble(arn, error, ())
        if not _lasting(error):
            raise StorageTrouble(f"{what}; {cure}") from error
        return (Problem(place="AFTERWORD_EVENTS", what=what, cure=cure),)
    return ()


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _fit(name: str) -> str:
    return name if _ID.fullmatch(name) else sha256(name.encode()).hexdigest()


def _attribute(value: Attribute) -> Mapping[str, str]:
    match value:
        case bool():
            return _text("true" if value else "false")
        case int() | float():
            number = f"{Decimal(repr(value)):f}"
            return {"DataType": "Number", "StringValue": number} if len(number) <= LONGEST_NUMBER else _text(str(value))
        case str():
            return _text(value)
        case _:
            items = [_taken(each) if isinstance(each, str) else each for each in value]
            return {"DataType": "String.Array", "StringValue": orjson.dumps(items).decode()}


def _text(value: str) -> Mapping[str, str]:
    return {"DataType": "String", "StringValue": _taken(value)}


def _taken(text: str) -> str:
    return _UNTAKEN.sub("\ufffd", text)


def _values(told: Mapping[str, Mapping[str, str]]) -> Sequence[str]:
    return [each["StringValue"] for each in told.values()]


def _about_the_message(error: AwsError) -> bool:
    return error.code.startswith(("InvalidParameter", "ValidationE"))


def _busy(error: AwsError) -> bool:
    return error.throttled or error.code == "KMSThrottling"


def _lasting(error: AwsError) -> bool:
    """Whether a person must mend it."""
    return not _busy(error) and (error.denied or error.code.startswith(("NotFound", "KMS")))


def _trouble(arn: str, error: AwsError, values: Sequence[str]) -> tuple[str, str]:
    """What is wrong with publishing there, and the cure."""
    topic = f"the topic {arn}"
    if _about_the_message(error):
        # SNS may quote what it refuses, and attributes are made of what was said.
        quoted = any(value in error.message for value in values)
        said = f" ({error.message})" if error.message and not quoted else ""
        what = f"{topic} refuses the event's message or one of its attributes{said}"
        return what, "this does not pass by itself: report it, or name a topic that takes it in AFTERWORD_EVENTS"
    if _busy(error):
        return f"{topic} takes no more just now ({error.code})", "if that lasts, ask AWS for a higher quota"
    if error.code.startswith("NotFound"):
        return f"{topic} is not there", "make it, or name another one in AFTERWORD_EVENTS"
    if error.code.startswith("KMS"):
        what = f"{topic} cannot use its key ({error.code})"
        return what, "enable the key, and allow kms:GenerateDataKey and kms:Decrypt on it"
    if error.denied:
        what = f"{topic} may not be published to ({error})"
        return what, "give credentials that allow sns:Publish on it, and kms:GenerateDataKey and kms:Decrypt on its key"
    return f"{topic} cannot be published to ({error})", "see that SNS can be reached from here"
