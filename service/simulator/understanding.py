"""Speech Understanding in extracts: real shapes, no understanding."""

from collections.abc import Mapping
from typing import Final

from service.simulator.answers import pick
from service.simulator.scripts import Heard
from service.simulator.wire import Json, RefusedError

FEATURES: Final = frozenset(
    {"translation", "speaker_identification", "custom_formatting", "summarization", "action_items"}
)
SECTION: Final = 8
"""Utterances per summarised section."""


def check_request(request: object) -> Json:
    """Raises RefusedError (400) unless the request names known features with what they need."""
    if not isinstance(request, dict) or not request:
        raise RefusedError(400, "invalid request body", errors=["speech_understanding.request: a feature is required"])
    for name, wanted in request.items():
        if name not in FEATURES or not isinstance(wanted, dict):
            raise RefusedError(
                400, "invalid request body", errors=[f"speech_understanding.request.{name} is not known"]
            )
    if request.get("summarization", {}).get("summary_type", "paragraph") not in {"paragraph", "bullets"}:
        raise RefusedError(400, "invalid request body", errors=["summary_type: paragraph or bullets is expected"])
    if "translation" in request and not request["translation"].get("target_languages"):
        raise RefusedError(400, "invalid request body", errors=["target_languages: at least one is required"])
    return request


def understand(request: Mapping[str, Json], heard: Heard, utterances: list[Json]) -> Json:
    """The `response` for each feature asked for; `utterances` is what may be shown of what was heard."""
    response: Json = {}
    for name, wanted in request.items():
        match name:
            case "summarization":
                response[name] = _summary(wanted, utterances)
            case "action_items":
                response[name] = {"status": "success", "items": _items(utterances)}
            case "speaker_identification":
                response[name] = {"status": "success", "mapping": _mapping(wanted, heard)}
            case "translation":
                response[name] = {"status": "success"}
            case _:
                response[name] = {"status": "success", "mapping": {}}
    return response


def _summary(wanted: Json, utterances: list[Json]) -> Json:
    kind = wanted.get("summary_type", "paragraph")
    sections = []
    for place in range(0, len(utterances), SECTION):
        part = utterances[place : place + SECTION]
        said = [utterance["text"] for utterance in part]
        section: Json = {"start": part[0]["start"], "end": part[-1]["end"], "headline": said[0][:60]}
        told = pick(said, "summary")
        sections.append(section | ({"bullets": told} if kind == "bullets" else {"text": " ".join(told)}))
    return {"status": "success", "summary": sections, "summary_type": kind, "effort": wanted.get("effort", "low")}


def _items(utterances: list[Json]) -> list[Json]:
    said = [utterance["text"] for utterance in utterances]
    chosen = set(pick(said, "action items")) if said else set()
    return [
        {"action_item": utterance["text"], "quote": utterance["text"], "timestamp": utterance["start"]}
        for utterance in utterances
        if utterance["text"] in chosen
    ]


def _mapping(wanted: Json, heard: Heard) -> Json:
    names = list(wanted.get("known_values") or [])
    names += [speaker.get("name") or speaker.get("role") for speaker in wanted.get("speakers") or []]
    return dict(zip(heard.speakers, names, strict=False))
