"""An announced object on its way in: found under its key, compared with what was announced, and handed over."""

from collections.abc import Callable
from typing import Final

import structlog

from service.adapters.aws import Aws, AwsError
from service.adapters.credentials import lacking
from service.adapters.drops.objects import Head, final, head, told
from service.domain.errors import Unavailable
from service.domain.happened import DROP_IGNORED, DROP_UNMATCHED
from service.domain.job import Recording
from service.domain.notices import Notice
from service.domain.objects import ObjectPlace, recording
from service.domain.tally import DROPS, Tally
from service.ports.places import Take
from service.ports.store import Unmatched

ALLOWED: Final = "s3:GetObject and s3:GetObjectVersion on it, s3:ListBucket on its bucket, kms:Decrypt on its key"
GONE: Final = "it is not there any more, and nothing tells which content was meant"


class Withheld(Exception):
    """S3 does not let us see the object, and will not until somebody does something about it."""

    def __init__(self, place: ObjectPlace, error: AwsError) -> None:
        cure = f"; allow the service {ALLOWED}" if error.denied and lacking(error) is None else ""
        super().__init__(f"{error}{cure}")
        self.place = place
        self.denied = error.denied


class Announced:
    """What is done with an object that was announced, however often that is."""

    def __init__(
        self,
        aws: Aws,
        *,
        wanted: Callable[[str, str], bool],
        own: Callable[[ObjectPlace], bool],
        unmatched: Unmatched,
        clock: Callable[[], float],
        tally: Tally,
    ) -> None:
        self._aws = aws
        self._wanted = wanted
        self._own = own
        self._unmatched = unmatched
        self._clock = clock
        self._tally = tally
        self._log = structlog.get_logger()

    def wanted(self, notice: Notice) -> bool:
        """Whether a pipeline takes it, whichever way its key was meant."""
        return any(self._wanted(place.key, place.uri) for place in notice.places)

    async def bring(self, notice: Notice, take: Take) -> bool:
        """Hand the object over, or leave it alone. False: no pipeline takes it, which is remembered.

        Returns when that is durable. Raises Withheld, and what `take` and the memory of the unmatched raise.
        """
        place = notice.places[0]
        if any(self._own(each) for each in notice.places):
            self._log.debug(DROP_IGNORED, key=place.key, bucket=place.bucket, reason="a result of ours")
        elif place.key.endswith("/"):
            self._log.debug(DROP_IGNORED, key=place.key, bucket=place.bucket, reason="a folder's marker")
        elif notice.size == 0:
            self._ignore(place, "empty")
        elif not self.wanted(notice):
            return await self._remember(notice, take)
        else:
            found = await self._found(notice)
            if found is None:
                self._ignore(place, GONE)
            elif found.size == 0:
                self._ignore(place, "empty")
            elif not self._wanted(found.key, found.uri):
                return await self._remember(notice, take)
            else:
                await take(found, [])
        return True

    async def _found(self, notice: Notice) -> Recording | None:
        """The recording that was announced, whether it is still there or not; None if it cannot be told which."""
        for place in notice.places:
            try:
                found = await head(self._aws, place, notice.version)
            except AwsError as error:
                if final(error):
                    raise Withheld(place, error) from error
                raise Unavailable(str(error)) from error
            if found is not None and meant(notice, place, found):
                return told(place, found, self._clock(), notice.size)
        # Of what took its place in the bucket nothing is taken over: that has a notification of its own.
        return None if notice.etag is None else self._as_announced(notice)

    def _as_announced(self, notice: Notice) -> Recording:
        return recording(
            notice.places[0],
            etag=notice.etag,
            size=notice.size,
            version=notice.version,
            seen_at=self._clock(),
            metadata={},
        )

    async def _remember(self, notice: Notice, take: Take) -> bool:
        new = await self._unmatched.keep(notice.places[0].uri, notice.model_dump_json().encode())
        if new:
            await take(self._as_announced(notice), [])
        else:
            self._log.debug(DROP_UNMATCHED, key=notice.keys[0])
        return False

    def _ignore(self, place: ObjectPlace, reason: str) -> None:
        self._tally.count(DROPS, result="ignored")
        self._log.info(DROP_IGNORED, key=place.key, bucket=place.bucket, reason=reason)


def meant(notice: Notice, place: ObjectPlace, found: Head) -> bool:
    """Whether what stands there is what was announced; a neighbour with a key like it must not be taken for it."""
    if notice.etag is not None:
        return found.etag == notice.etag
    return place == notice.places[0] or notice.size in {None, found.size}
