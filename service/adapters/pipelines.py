"""The pipelines file, and the files that it names, where they are objects in S3: read before anything else runs."""

from typing import Any, Final

from service.adapters.aws import Aws, AwsError, told
from service.adapters.credentials import lacking
from service.domain.errors import Problem
from service.domain.objects import ObjectPlace
from service.domain.pipelines.file import LARGEST, outside, read_text
from service.domain.spelling import shown

SETTING: Final = "AFTERWORD_PIPELINES"


class InBucket:
    """domain.pipelines.file.Place of an object. The calls block: nothing waits for this process yet."""

    def __init__(self, aws: Aws, place: ObjectPlace) -> None:
        self._aws = aws
        self._place = place
        self._folder = place.key[: place.key.rfind("/") + 1]

    @property
    def name(self) -> str:
        return self._place.uri

    def text(self) -> str | Problem:
        return self._read(self._place.key, f"put it there, or name it in {SETTING}")

    def beside(self, name: str) -> str | Problem:
        """Of the same bucket, and below the pipelines file's own prefix."""
        parts = [part for part in name.split("/") if part != "."]
        if not name or {"", ".."} & set(parts):
            return outside(name)
        text = self._read(self._folder + "/".join(parts), "put it beside the pipelines file")
        if isinstance(text, str):
            return text
        return Problem(place=name, what=f"{shown(name)}: {text.what}", cure=text.cure)

    def _read(self, key: str, otherwise: str) -> str | Problem:
        named = {"Bucket": self._place.bucket, "Key": key}
        try:
            content = told("s3", lambda: _content(self._aws.client("s3"), named))
        except AwsError as error:
            what, cure = lacking(error) or _trouble(error)
            return Problem(place=self.name, what=what, cure=cure or otherwise)
        return read_text(self.name, content)


def _content(client: Any, named: dict[str, str]) -> bytes:
    with client.get_object(**named)["Body"] as opened:
        content: bytes = opened.read(LARGEST + 1)
    return content


def _trouble(error: AwsError) -> tuple[str, str | None]:
    """What is wrong, and the cure, unless it is that something is missing there."""
    match error.code:
        case "NoSuchKey":
            return "there is no such object", None
        case "NoSuchBucket":
            return "there is no such bucket", f"name another one in {SETTING}"
        case "AccessDenied" | "AllAccessDisabled":
            also = "and s3:ListBucket on its bucket, without which what is missing is refused like this too"
            return f"it may not be read ({error.code})", f"allow s3:GetObject on it, {also}"
    if error.denied:
        return f"it may not be read ({error.code})", "mend the AWS credentials and region of this process"
    if error.status is None or error.throttled:
        return f"S3 cannot be reached ({error.code})", "see that AWS's endpoint and region are right, then try again"
    return f"it cannot be read ({error.code})", f"mend that, or name another one in {SETTING}"
