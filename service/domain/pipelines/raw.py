"""The pipelines file as people write it. Everything is optional here: what is missing is told by the checks.

These records are also where `afterword schema pipelines` comes from.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from service.domain.attributes import MOST
from service.domain.pipeline import NAME

OUTSIDE_REQUEST: Final = frozenset({"name", "prompt", "prompt_file", "messages", "required", "response_schema"})
"""Fields of a prompt that are ours; all others go to the LLM Gateway as they are."""

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class Written(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=False)


class RawFallbackConfig(Written):
    retry: bool | None = None
    depth: Annotated[int | None, Field(ge=1, le=2)] = None


class RawRequest(Written):
    """What the LLM Gateway takes beside messages and transcript (vendor API reference: chat completions)."""

    model: Annotated[Text | None, Field(description="a model of the LLM Gateway, by its exact id")] = None
    max_tokens: Annotated[int | None, Field(ge=1, description="an answer that is cut off there is an error")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=1)] = None
    response_format: dict[str, JsonValue] | None = None
    post_processing_steps: list[dict[str, JsonValue]] | None = None
    reasoning: dict[str, JsonValue] | None = None
    model_region: Literal["global"] | None = None
    cache_control: dict[str, JsonValue] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    zero_data_retention: bool | None = None
    fail_fast: bool | None = None
    max_timeout: Annotated[float | None, Field(gt=0)] = None


class RawFallback(RawRequest):
    """A model to fall back to: its name alone, or a table that overrides any field."""

    @model_validator(mode="before")
    @classmethod
    def named(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string", "minLength": 1}, {**schema, "required": ["model"]}]}


class RawAsked(RawRequest):
    fallbacks: Annotated[list[RawFallback] | None, Field(description="models, or tables that override any field")] = (
        None
    )
    fallback_config: RawFallbackConfig | None = None
    required: Annotated[bool | None, Field(description="false: its failure makes the outcome `partial`")] = None


class RawMessage(Written):
    role: Literal["system", "user", "assistant"] | None = None
    content: str | None = None


class RawPrompt(RawAsked):
    name: Name | None = None
    prompt: Annotated[str | None, Field(description="one user message; `{{ transcript }}` stands for the text")] = None
    prompt_file: Annotated[Text | None, Field(description="a file beside this one, instead of `prompt`")] = None
    messages: Annotated[list[RawMessage] | None, Field(description="several messages, instead of `prompt`")] = None
    response_schema: Annotated[
        JsonValue,
        Field(alias="schema", exclude=True),
        WithJsonSchema(
            {
                "type": ["string", "object"],
                "description": "JSON Schema of the answer: a file beside this one, or a table",
            }
        ),
    ] = None


class RawOutputs(Written):
    captions: list[Literal["srt", "vtt"]] | None = None
    keep_transcript: Annotated[bool | None, Field(description="false: it is deleted at AssemblyAI at the end")] = None


class RawSpeech(Written):
    timestamps: Annotated[bool | None, Field(description="`{{ utterances }}` tells when each turn begins")] = None
    speakers: Annotated[
        dict[str, str] | None, Field(description='names by label: `{ A = "Agent" }`, of channels `{ 1 = "Agent" }`')
    ] = None
    fallback_language: Annotated[
        Text | None, Field(description="told to AssemblyAI where it cannot detect the language, as its `language_code`")
    ] = None


class RawDefaults(RawAsked):
    transcript: dict[str, JsonValue] | None = None
    outputs: RawOutputs | None = None
    speech: RawSpeech | None = None


class RawLimit(Written):
    """How much a pipeline may use in a calendar month (UTC) before its work waits for the next one."""

    dollars: Annotated[float | None, Field(gt=0, description="by list prices, estimated")] = None
    audio_hours: Annotated[float | None, Field(gt=0, description="of sound, each channel by itself")] = None
    requests: Annotated[int | None, Field(ge=1, description="to the LLM Gateway")] = None


class RawPipeline(Written):
    name: Name | None = None
    match: Annotated[list[str] | None, Field(description="globs over the key of a recording; the first match wins")] = (
        None
    )
    combine: Annotated[
        bool | None, Field(description="true: prompts that can share a request go out as one, the transcript once")
    ] = None
    transcript: Annotated[dict[str, JsonValue] | None, Field(description="sent to POST /v2/transcript")] = None
    prompts: list[RawPrompt] | None = None
    attributes: Annotated[
        dict[str, str] | None,
        Field(description="event attributes; at most seven", json_schema_extra={"maxProperties": MOST}),
    ] = None
    outputs: RawOutputs | None = None
    monthly_limit: RawLimit | None = None
    speech: Annotated[RawSpeech | None, Field(description="how prompts see the speech")] = None


class RawFile(Written):
    defaults: Annotated[RawDefaults | None, Field(description="what every prompt inherits")] = None
    pipelines: list[RawPipeline] | None = None


def request_of(asked: RawAsked) -> dict[str, JsonValue]:
    """The fields that are there, for the Gateway."""
    ours = OUTSIDE_REQUEST | {"transcript", "outputs", "speech"}
    return asked.model_dump(mode="json", exclude_none=True, exclude=set(ours))


def json_schema() -> Mapping[str, Any]:
    """The JSON Schema of a pipelines file, for editors."""
    schema = RawFile.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    definitions["RawPrompt"]["required"] = ["name"]
    # An assistant's message without content is a turn: there the model is asked.
    definitions["RawMessage"]["anyOf"] = [
        {"required": ["role", "content"]},
        {"required": ["role"], "properties": {"role": {"const": "assistant"}}},
    ]
    definitions["RawPipeline"]["required"] = ["name", "match"]
    tidy: dict[str, Any] = _without_nulls(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The pipelines file of Afterword",
        **{key: value for key, value in tidy.items() if key not in {"title", "description"}},
        "required": ["pipelines"],
    }


def _without_nulls(schema: Any) -> Any:
    """TOML has no null: `X or null, by default null` is just X."""
    if isinstance(schema, list):
        return [_without_nulls(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    members = {key: _without_nulls(value) for key, value in schema.items() if (key, value) != ("default", None)}
    choices = members.get("anyOf")
    if isinstance(choices, list):
        rest = [each for each in choices if each != {"type": "null"}]
        if len(rest) == 1:
            members.pop("anyOf")
            return {**members, **rest[0]}
        members["anyOf"] = rest
    return members
