"""Falling back by ourselves: the LLM Gateway tries its fallbacks only where a model fails, not where it refuses.

A model that is retired, not allowed, too small or without a parameter is refused before any fallback is tried, and so
is a request whose fallback is such a one (vendor API reference: errors).
"""

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from service.domain.asking.turns import Request
from service.domain.errors import AnswerInvalid, ModelRefused, Permanent

Override = Mapping[str, JsonValue]


def requests(request: Request) -> tuple[Request, ...]:
    """The request itself, then that of each fallback: its overrides applied, the fallbacks behind it passed on."""
    overrides = _fallbacks(request)
    asked = [request]
    for at, override in enumerate(overrides):
        behind = [_behind(request, override, other) for other in overrides[at + 1 :]]
        asked.append(_with({**request, **override}, [other for other in behind if other is not None]))
    return tuple(asked)


def without(request: Request, refused: ModelRefused) -> Request | None:
    """The request without the fallback that it was refused for; None if it was refused for its own model's sake."""
    overrides = _fallbacks(request)
    if refused.model == request["model"]:
        return None
    kept = [] if refused.in_doubt else [override for override in overrides if override["model"] != refused.model]
    return None if len(kept) == len(overrides) else _with(request, kept)


def none_left(tried: Sequence[tuple[str, Permanent]]) -> Permanent:
    """The prompt's error once no model is left: each is named, with why it did not do.

    Its code is the first one's; an invalid answer, once there was one, is the end that is told.
    """
    (_, first), (_, last) = tried[0], tried[-1]
    if len(tried) == 1:
        return first
    reasons = [unfit.message if model in unfit.message else f"{model}: {unfit.message}" for model, unfit in tried]
    message = f"no model could answer: {'; '.join(reasons)}"
    invalid = next((unfit for _, unfit in reversed(tried) if isinstance(unfit, AnswerInvalid)), None)
    if invalid is not None:
        return AnswerInvalid(message, raw=invalid.raw, request_id=invalid.request_id)
    return Permanent(first.code, message, request_id=last.request_id)


def _fallbacks(request: Request) -> Sequence[Override]:
    return cast("Sequence[Override]", request.get("fallbacks") or ())


def _behind(request: Request, override: Override, other: Override) -> Override | None:
    """A later fallback, so that it comes out as behind the request itself; None where that cannot be written."""
    changed = override.keys() - other.keys()
    if not changed <= request.keys():
        return None
    return {**{name: request[name] for name in sorted(changed)}, **other}


def _with(request: Request, overrides: Sequence[Override]) -> Request:
    body = {name: value for name, value in request.items() if name != "fallbacks"}
    return {**body, "fallbacks": [dict(override) for override in overrides]} if overrides else body
