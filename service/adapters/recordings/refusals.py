"""What S3's refusals to let a recording be read mean, and what is to be done about each."""

from typing import Final

from service.adapters.aws import AwsError
from service.domain.errors import (
    Permanent,
    RecordingMissing,
    RecordingReplaced,
    ServiceError,
    StorageTrouble,
    Unavailable,
)
from service.domain.job import Recording

NOT_THERE: Final = frozenset({404, 405})
"""Nothing of that name or version, or what marks that it was deleted (S3's documentation: delete markers)."""
NOT_ANNOUNCED: Final = 412
SERVER_ERRORS: Final = 500
FORBIDDEN: Final = frozenset({"AccessDenied", "AllAccessDisabled", "403"})


def refusal(recording: Recording, error: AwsError) -> ServiceError:
    """RecordingMissing, RecordingReplaced or Unavailable; of AWS's own words no more than the code."""
    uri, code = recording.uri, error.code
    if (permanent := _permanent(recording, error)) is not None:
        return permanent
    if error.throttled or error.status is None or error.status >= SERVER_ERRORS:
        # Our own storage's trouble is no reason to give a recording up.
        return StorageTrouble(f"S3 does not let {uri} be read just now ({code})")
    return Unavailable(f"S3 does not let {uri} be read ({code}): {_cure(recording, error)}")


def _permanent(recording: Recording, error: AwsError) -> Permanent | None:
    if error.status in NOT_THERE:
        return missing(recording)
    if error.status == NOT_ANNOUNCED:
        return replaced(recording)
    if error.code == "InvalidObjectState":
        return archived(recording)
    if error.code == "InvalidRequest":
        cure = "store it encrypted with a key that the bucket keeps, under another name"
        return RecordingMissing(f"{recording.uri} is encrypted with a key that only its owner has (SSE-C): {cure}")
    if error.code == "InvalidArgument" and recording.version is not None:
        return RecordingMissing(f"{recording.uri} has no version {recording.version}: drop it anew")
    return None


def missing(recording: Recording) -> RecordingMissing:
    if recording.version is not None:
        return RecordingMissing(f"version {recording.version} of {recording.uri} is not there any more: drop it anew")
    return RecordingMissing(f"{recording.uri} is not there any more: put it back as it was and retry the job")


def replaced(recording: Recording) -> RecordingReplaced:
    return RecordingReplaced(
        f"{recording.uri} is no longer the recording that was dropped; what took its place is a job of its own"
    )


def archived(recording: Recording) -> RecordingMissing:
    return RecordingMissing(f"{recording.uri} is archived: restore it (`aws s3api restore-object`), then retry the job")


def _cure(recording: Recording, error: AwsError) -> str:
    if error.code.startswith("KMS"):
        return "enable the key that it is encrypted with, or let the service use it (kms:Decrypt)"
    if error.code not in FORBIDDEN:
        return "mend the service's AWS credentials and region" if error.denied else "see what that means in S3's list"
    right = "s3:GetObject" if recording.version is None else "s3:GetObjectVersion"
    also = f"s3:ListBucket on {recording.location}, without which what is missing is refused like this too"
    return f"allow the service {right} on it, kms:Decrypt if its bucket has a key of yours, and {also}"
