"""The private listener's OpenAPI document; a test holds it against the routes."""

from collections.abc import Mapping
from typing import Any, Final

from service import __version__
from service.domain.job import Status

_NAME: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "A job's id, transcript id or recording URI (percent-encoded).",
    "schema": {"type": "string"},
}
_NULLABLE_TEXT: Final = {"type": ["string", "null"]}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _answers(ok: Mapping[str, str], *errors: str) -> dict[str, Any]:
    told = {
        "401": "The token is missing or wrong.",
        "404": "No such job.",
        "409": "The job is not where that can be done.",
        "413": "The body is larger than 64 KiB.",
        "422": "Bad input: what, where, and the cure.",
        "503": "The store or the vendor is in trouble; try again.",
    }
    failed = {code: {"description": told[code], "content": _content("Error")} for code in ("401", *errors, "503")}
    (schema,) = set(ok.values())
    texts = {"200": "Done.", "201": "A new job."}
    return {code: {"description": texts[code], "content": _content(schema)} for code in ok} | failed


def _query(name: str, told: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": told, "schema": schema}


_PATHS: Final[Mapping[str, Any]] = {
    "/api/jobs": {
        "get": {
            "operationId": "listJobs",
            "summary": "Jobs by creation, newest first",
            "parameters": [
                _query("status", "May be repeated.", {"type": "string", "enum": [status.value for status in Status]}),
                _query("since", "Updated since: a duration (2d) or an RFC 3339 time.", {"type": "string"}),
                _query("limit", "Jobs on a page.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
                _query("after", "The `next` of the page before.", {"type": "string"}),
            ],
            "responses": _answers({"200": "Page"}, "422"),
        },
        "post": {
            "operationId": "submitJob",
            "summary": "Make a job of a recording, or say which one it is already",
            "requestBody": {"required": True, "content": _content("Order")},
            "responses": _answers({"200": "Done", "201": "Done"}, "409", "413", "422"),
        },
    },
    "/api/jobs/{name}": {
        "get": {
            "operationId": "showJob",
            "summary": "One job with its timeline",
            "parameters": [_NAME],
            "responses": _answers({"200": "Job"}, "404"),
        }
    },
    "/api/jobs/{name}/retry": {
        "post": {
            "operationId": "retryJob",
            "summary": "Send a failed job on its next run",
            "parameters": [_NAME],
            "responses": _answers({"200": "Done"}, "404", "409", "422"),
        }
    },
}

_SCHEMAS: Final[Mapping[str, Any]] = {
    "Job": {
        "type": "object",
        "required": ["id", "status", "lane", "created_at", "updated_at", "readable"],
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string"},
            "lane": {"type": "string", "enum": ["fresh", "backfill"]},
            "created_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "due_at": _NULLABLE_TEXT,
            "leased_until": _NULLABLE_TEXT,
            "parked": _NULLABLE_TEXT,
            "queue": _NULLABLE_TEXT,
            "transcript_id": _NULLABLE_TEXT,
            "readable": {"type": "boolean", "description": "False: another version wrote it; the rest is left out."},
            "pipeline": {"type": "string"},
            "run": {"type": "integer"},
            "recording": {"type": "object"},
            "trouble": {"type": ["object", "null"]},
            "verdict": {"type": ["object", "null"]},
            "timeline": {"type": "array", "items": {"type": "object"}},
        },
    },
    "Page": {
        "type": "object",
        "required": ["jobs", "next"],
        "properties": {
            "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}},
            "next": _NULLABLE_TEXT,
        },
    },
    "Order": {
        "type": "object",
        "required": ["target"],
        "additionalProperties": False,
        "properties": {
            "target": {"type": "string", "description": "A path, an https:// URL or transcript:ID."},
            "pipeline": _NULLABLE_TEXT,
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
    "Done": {"type": "object", "required": ["job_id"], "properties": {"job_id": {"type": "string"}}},
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "problems": {"type": "array", "items": {"type": "object"}}},
    },
}

OPENAPI: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "Afterword, private listener", "version": __version__},
    "security": [{"token": []}],
    "paths": _PATHS,
    "components": {"schemas": _SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
"""OpenAPI 3.1. Never changed at run time."""
