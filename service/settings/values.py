"""How each kind of setting is read from its text. Every reader raises Bad."""

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from service.domain import durations
from service.domain.pipeline import NAME
from service.domain.spelling import did_you_mean, shown

SHORTEST_WEBHOOK_SECRET: Final = 32
"""Characters."""

_VISIBLE: Final = re.compile(r"[!-~]+")


class Bad(ValueError):
    """The text has no meaning for its variable: `what` is wrong, and the `cure`."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}; {cure}")
        self.what = what
        self.cure = cure


def name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise Bad(
            f"{shown(text)} is no name", "use at most 64 of a-z, 0-9, `_` and `-`, beginning with a letter or digit"
        )
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() in choices:
            return text.lower()
        near = did_you_mean(text, choices)
        cure = f"did you mean `{near}`? " if near else ""
        raise Bad(f"{shown(text)} is none of {', '.join(choices)}", f"{cure}write one of them")

    return read


def duration(
    bare: float = durations.SECOND, *, zero: bool = False, least: float = 0.0, most: float = math.inf
) -> Callable[[str], float]:
    """Seconds from text, at least `least` and at most `most`; a bare number is in units of `bare` seconds."""
    example = "90d" if bare == durations.DAY else "30s, 10m or 2h"

    def read(text: str) -> float:
        try:
            value = durations.seconds(text, bare=bare)
        except ValueError as error:
            raise Bad(f"{shown(text)} is {error}", f"write a duration such as {example}") from None
        if value == 0 and not zero:
            raise Bad("the duration is zero", f"write a longer one, such as {example}")
        if value < least:
            raise Bad(f"{shown(text)} is shorter than {least:g} s", f"write at least {least:g}s")
        if value > most:
            raise Bad(f"{shown(text)} is longer than {most:g} s", f"write at most {most:g}s")
        return value

    return read


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise Bad(f"{shown(text)} is no whole number from {lowest} to {highest}", "write one, digits only")
        return int(text)

    return read


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise Bad(f"{shown(text)} is no share of the whole", "write a number above 0 and at most 1, such as 0.5")
    return value


def secret(text: str) -> SecretStr:
    if not _VISIBLE.fullmatch(text):
        raise Bad("it holds blanks or characters beyond ASCII", "copy it anew, without quotes, blanks or line breaks")
    return SecretStr(text)


def webhook_secrets(text: str) -> tuple[SecretStr, ...]:
    """The first signs, all verify. Never shows any of the text."""
    secrets = [each.strip() for each in text.split(",") if each.strip()]
    cure = "make one with `openssl rand -hex 32`"
    if not secrets:
        raise Bad("it holds no secret", cure)
    for place, each in enumerate(secrets, 1):
        if len(each) < SHORTEST_WEBHOOK_SECRET:
            what = f"secret {place} of {len(secrets)} has {len(each)} characters"
            raise Bad(f"{what}, fewer than {SHORTEST_WEBHOOK_SECRET}", cure)
    return tuple(secret(each) for each in dict.fromkeys(secrets))


def host(text: str) -> str:
    """An address or name to listen on."""
    bare = text.removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[0-9A-Za-z.:_%-]+", bare) or "://" in text:
        raise Bad(f"{shown(text)} is no host to listen on", "write an address such as 127.0.0.1 or 0.0.0.0")
    return bare


def loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address.lower().rstrip(".") == "localhost"


def public_url(text: str) -> str:
    """Without a trailing slash. Shows nothing of the text: it may hold credentials."""
    example = "https://hooks.example.com"
    parts = url(text, example)
    if parts.scheme != "https" and not loopback(parts.hostname or ""):
        raise Bad("it is not https", f"write it like {example} (plain http is for loopback alone)")
    return text.rstrip("/")


def origin(text: str) -> str:
    """Scheme and host alone, without a trailing slash."""
    example = "https://api.assemblyai.com"
    parts = url(text, example)
    if parts.path.strip("/"):
        raise Bad("it has a path", f"write the scheme and host only, like {example}")
    return text.rstrip("/")


def in_the_clear(url: str) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not loopback(parts.hostname or "")


def url(text: str, example: str) -> SplitResult:
    """The parts of an http or https URL with a host, and without user, query and fragment."""
    cure = f"write it like {example}"
    if not _VISIBLE.fullmatch(text):
        raise Bad("it holds blanks or characters beyond ASCII", cure)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Bad("it is no URL", cure) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise Bad("it is no http or https URL with a host", cure)
    if "@" in parts.netloc:
        raise Bad("it holds a user or password", f"leave them out: {cure}")
    if "?" in text or "#" in text:
        raise Bad("it has a query or fragment", f"leave it out: {cure}")
    return parts
