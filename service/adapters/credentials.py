"""What this machine lacks to talk to AWS at all, told alike wherever it shows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from service.adapters.aws import AwsError

LACKING: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "NoCredentialsError": (
            "there are no AWS credentials here",
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (containers get theirs from a role)",
        ),
        "PartialCredentialsError": (
            "the AWS credentials are not complete",
            "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        "NoRegionError": ("no AWS region is set", "set AWS_REGION to the region of the service's stack"),
        "ProfileNotFound": ("AWS_PROFILE names a profile that is not there", "name one of ~/.aws/config"),
        "ExpiredToken": ("the AWS credentials have expired", "fetch new ones"),
        "ExpiredTokenException": ("the AWS credentials have expired", "fetch new ones"),
        "InvalidClientTokenId": ("AWS does not know the credentials", "see that they are of the right account"),
        "UnrecognizedClientException": ("AWS does not know the credentials", "see that they are of the right account"),
        "InvalidAccessKeyId": ("AWS does not know the credentials", "see that they are of the right account"),
    }
)
"""By AWS's code or botocore's name: what is wrong, and its cure."""


def lacking(error: BaseException | None) -> tuple[str, str] | None:
    """What is wrong and its cure, if `error`, or what it came of, tells that the machine lacks something."""
    while error is not None:
        if isinstance(error, AwsError):
            return LACKING.get(error.code)
        error = error.__cause__
    return None
