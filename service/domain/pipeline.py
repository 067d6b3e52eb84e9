"""A pipeline: which recordings it takes, how they are transcribed, and what is asked of the transcript."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Literal

from pydantic import Field, JsonValue

from service.domain.globs import Glob, matches, parse
from service.domain.job import Fact
from service.domain.use.limits import MonthlyLimit

NAME: Final = r"[a-z0-9][a-z0-9_-]{0,63}"
"""What names of deployments, pipelines and prompts look like."""

SPEECH_MODELS: Final = ("universal-3-5-pro", "universal-2")
"""Sent where a pipeline chooses none (vendor API reference: the default, which has changed before)."""

Form = Literal["srt", "vtt"]


class Message(Fact):
    """One message of a prompt; `content` is a template (see service.domain.asking.prompts).

    An `assistant` message with content None is a turn: the model is asked there, and later messages see its answer.
    """

    role: Literal["system", "user", "assistant"]
    content: str | None


class Prompt(Fact):
    """One question. `request` is all that goes to the LLM Gateway beside the messages and the transcript's id."""

    name: str
    messages: tuple[Message, ...]
    required: bool = True
    request: Mapping[str, JsonValue]

    @property
    def model(self) -> str:
        return str(self.request["model"])


class Outputs(Fact):
    """What is kept beside the answers."""

    captions: tuple[Form, ...] = ()
    keep_transcript: bool = True
    """False: the transcript is deleted at the vendor once the results are safe."""


class Speech(Fact):
    """How prompts see the speech, and what becomes of speech whose language the vendor cannot detect."""

    timestamps: bool = False
    """True: each line of `{{ utterances }}` begins with its time."""
    speakers: Mapping[str, str] = {}
    """Names by the vendor's label of a speaker (`A`) or channel (`1`)."""
    fallback_language: str | None = None
    """The vendor's code of the language that is told it after it could detect none."""


class Pipeline(Fact):
    """Complete in itself: defaults are merged in, prompt and schema files read, `speech_models` chosen.

    `transcript` is sent to POST /v2/transcript as it is. `attributes` maps names of event attributes to pointers.
    """

    name: str
    match: tuple[str, ...]
    transcript: Mapping[str, JsonValue]
    prompts: tuple[Prompt, ...]
    attributes: Mapping[str, str] = {}
    outputs: Outputs = Outputs()
    speech: Speech = Speech()
    combine: bool = False
    monthly_limit: MonthlyLimit | None = Field(default=None, exclude=True)
    """Never pinned: today's decides, also about what was begun under another."""

    def prompt(self, name: str) -> Prompt | None:
        return next((prompt for prompt in self.prompts if prompt.name == name), None)


class Pipelines(Fact):
    """All pipelines of a file, in its order."""

    pipelines: tuple[Pipeline, ...]

    @cached_property
    def _routes(self) -> Sequence[tuple[Glob, Pipeline]]:
        return tuple((parse(pattern), pipeline) for pipeline in self.pipelines for pattern in pipeline.match)

    def match(self, key: str, uri: str) -> Pipeline | None:
        """The first pipeline that takes the recording; None if none does."""
        return next((pipeline for glob, pipeline in self._routes if matches(glob, key, uri)), None)

    def get(self, name: str) -> Pipeline | None:
        return next((pipeline for pipeline in self.pipelines if pipeline.name == name), None)

    @cached_property
    def digest(self) -> str:
        """Changes whenever anything does that decides which recordings are taken, and by whom."""
        return hashlib.sha256(canonical([[each.name, list(each.match)] for each in self.pipelines])).hexdigest()


def canonical(value: JsonValue) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces, UTF-8 unescaped."""
    return _text(value, sort=True)


def in_order(value: JsonValue) -> bytes:
    """The same with its keys as they stand: models answer in the order of a schema's properties."""
    return _text(value, sort=False)


def _text(value: JsonValue, *, sort: bool) -> bytes:
    text = json.dumps(value, sort_keys=sort, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # File names need not be UTF-8; Python keeps their odd bytes as lone surrogates.
    return text.encode(errors="surrogatepass")


def to_json(pipeline: Pipeline) -> bytes:
    """The JSON that is pinned; `from_json` reads it back equal, properties of schemas in order, but for the limit."""
    return in_order(pipeline.model_dump(mode="json"))


def from_json(document: bytes) -> Pipeline:
    """Raises ValueError for what `to_json` did not write."""
    return Pipeline.model_validate_json(document)


def digest(pipeline: Pipeline) -> str:
    """SHA-256, in hex, over all that is pinned; of the order of keys only that within a schema counts."""
    document = pipeline.model_dump(mode="json")
    shapes = [prompt.request["response_format"] for prompt in pipeline.prompts if "response_format" in prompt.request]
    orders = b"".join(in_order(shape) for shape in shapes)
    return hashlib.sha256(canonical(document) + orders).hexdigest()
