"""The token that proves a callback: one per job, made from a secret that never leaves us."""

import hmac
from collections.abc import Sequence
from typing import Final

HEADER: Final = "X-Afterword-Token"
"""The one custom header that the vendor lets a submission set (vendor API reference: webhook_auth_header_name)."""

KEY_ID_DIGITS: Final = 12


def token(secret: str, job_id: str) -> str:
    """HMAC-SHA256 of the job's id under the secret, in lower-case hex."""
    return hmac.digest(secret.encode(), job_id.encode(), "sha256").hex()


def key_id(secret: str) -> str:
    """A name of the secret that tells nothing of it: which secret signed can be written down by it."""
    return hmac.digest(secret.encode(), b"afterword key id", "sha256").hex()[:KEY_ID_DIGITS]


def genuine(presented: bytes, job_id: str, secrets: Sequence[str]) -> bool:
    """Whether the header's value is the job's token under any of the secrets.

    Takes the same time whichever secret fits, and whether one does: all are compared, each in constant time.
    """
    fits = False
    for secret in secrets:
        fits |= hmac.compare_digest(presented, token(secret, job_id).encode())
    return fits
