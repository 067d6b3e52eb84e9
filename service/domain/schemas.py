"""The JSON Schema of what is published: within v1 fields are only added, and unknown ones are allowed."""

from typing import Final

from service.domain.errors import Code
from service.domain.events import ANALYZED, DATA_SCHEMA, FAILED
from service.domain.job import Outcome

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
EVENT_SCHEMA: Final = "urn:afterword:schema:event:v1"

RFC_3339: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$"

Schema = dict[str, object]


def event_schema() -> Schema:
    """Schema (draft 2020-12) of a whole event. Its `data` is the schema that events name as `dataschema`.

    It refers to nothing, so that every tool can read it, those too that do not follow names within a schema.
    """
    properties: Schema = {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "format": "uuid",
            "description": "UUIDv5 of name, job and run: the same for every delivery; dedupe by it.",
        },
        "type": {"enum": [ANALYZED, FAILED], "description": "`failed` where data.outcome is `failed`."},
        "source": {"type": "string", "pattern": "^/[^/]+/[^/]+$", "description": "/{AFTERWORD_NAME}/{pipeline}"},
        "subject": _text("The recording's URI, as data.recording.uri."),
        "time": _time("When the outcome was reached."),
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": DATA_SCHEMA},
        "data": _data(),
    }
    return {
        "$schema": DIALECT,
        "$id": EVENT_SCHEMA,
        "title": "What Afterword tells of a recording",
        "description": "A CloudEvent 1.0 in structured JSON. Allow fields that are not listed: more may be added.",
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


def _data() -> Schema:
    """Schema of `data`; a resource of its own, so that a subscriber may use it alone."""
    required: Schema = {
        "job_id": {"type": "string", "pattern": "^job_[0-9a-f]{32}$"},
        "run": {
            "type": "integer",
            "minimum": 1,
            "description": "Retries and new prompts make further runs; of a source and job the highest one counts.",
        },
        "pipeline": _text("The pipeline's name."),
        "pipeline_digest": _maybe("Digest of the pipeline whose prompts were asked; null if it never came to that."),
        "outcome": {
            "enum": [outcome.value for outcome in Outcome],
            "description": "`partial`: a prompt that is not required has failed.",
        },
        "recording": _recording(),
        "transcript": _transcript(),
        "files": _files(),
    }
    optional: Schema = {
        "answers": {
            "type": "object",
            "description": "By prompt, in the pipeline's order. Absent exactly if answers_omitted is true.",
            "additionalProperties": _answer(),
        },
        "answers_omitted": {
            "const": True,
            "description": "The event would have been over 240 KiB; all answers are in files.result.",
        },
        "error": {**_error(), "description": "Why the run failed; only if it did."},
        "skipped": {
            "type": "string",
            "description": "Why nothing was asked: `no_speech`, a transcript without words.",
        },
    }
    return {
        "$id": DATA_SCHEMA,
        "type": "object",
        "required": list(required),
        "properties": required | optional,
        "if": {"required": ["answers_omitted"]},
        "then": {"not": {"required": ["answers"]}},
        "else": {"required": ["answers"]},
        "allOf": [
            {
                "if": {"properties": {"outcome": {"const": Outcome.FAILED.value}}},
                "then": {"required": ["error"]},
                "else": {"not": {"required": ["error"]}},
            }
        ],
    }


def _recording() -> Schema:
    properties: Schema = {
        "uri": _text("s3://bucket/key, file:///path percent-encoded, https without user and query, or assemblyai:…"),
        "key": _text("Its key or relative path, as it is."),
        "name": _text("The last part of the key."),
        "size": {"type": ["integer", "null"], "minimum": 0, "description": "Bytes, if known."},
        "version": _maybe("The version of the object, where the bucket keeps versions."),
        "dropped_at": _time("When it arrived."),
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _transcript() -> Schema:
    properties: Schema = {
        "id": _text("AssemblyAI's id of it."),
        "language": _maybe("BCP 47."),
        "duration": {"type": ["integer", "null"], "minimum": 0, "description": "Seconds."},
    }
    return {"type": ["object", "null"], "required": list(properties), "properties": properties}


def _answer() -> Schema:
    answered: Schema = {
        "required": ["model", "usage"],
        "anyOf": [{"required": ["content"]}, {"required": ["value"]}],
        "not": {"required": ["error"]},
    }
    properties: Schema = {
        "content": {
            "type": "string",
            "description": "What the model answered; of a prompt with a schema there is `value` instead.",
        },
        "value": {
            "description": "What the model answered to a prompt with a schema, parsed: an object that follows it."
        },
        "model": _text("The model that answered."),
        "usage": {**_usage(), "description": "What it took; also of a failed prompt whose answer was billed."},
        "error": _error(),
    }
    return {"type": "object", "properties": properties, "oneOf": [answered, {"required": ["error"]}]}


def _usage() -> Schema:
    count: Schema = {"type": "integer", "minimum": 0}
    required: Schema = {"input_tokens": count, "output_tokens": count, "total_tokens": count}
    optional: Schema = {
        "requests": {**count, "description": "0 where the request that it shared is counted at another prompt."},
        "cached_input_tokens": {**count, "description": "Of the input: read from the provider's cache."},
        "cache_written_tokens": {**count, "description": "Of the input: written to the provider's cache."},
        "reasoning_tokens": {**count, "description": "Of the output."},
        "estimated_cost": {
            "type": "number",
            "minimum": 0,
            "description": "Dollars, an estimate by list prices at the time of the answer; absent where none is known.",
        },
    }
    return {"type": "object", "required": list(required), "properties": required | optional}


def _files() -> Schema:
    properties: Schema = {
        "result": _text("result.json: all of this and usage, timings and the vendor's request ids."),
        "transcript_json": _text("Text, words, utterances, confidence, language, duration."),
        "transcript_txt": _text("The text alone."),
        "srt": _text("Captions, if asked for."),
        "vtt": _text("Captions, if asked for."),
        "redacted_audio": _text("The recording without what was redacted, if asked for."),
    }
    return {
        "type": "object",
        "description": "URIs of the files that exist. Reading them takes a permission of yours: no link is signed.",
        "required": ["result"],
        "properties": properties,
        "additionalProperties": {"type": "string"},
    }


def _error() -> Schema:
    codes = ", ".join(f"`{code.value}`" for code in Code)
    properties: Schema = {
        "code": {"type": "string", "description": f"One of {codes}; more may be added."},
        "message": _text("What happened, in the vendor's own words where it was the vendor."),
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _maybe(description: str) -> Schema:
    return {"type": ["string", "null"], "description": description}


def _time(description: str) -> Schema:
    return {"type": "string", "format": "date-time", "pattern": RFC_3339, "description": f"{description} In UTC."}
