"""What a completion request may ask for."""

from collections.abc import Mapping
from typing import Any, Final

from service.simulator.catalogue import Model
from service.simulator.wire import Json, RefusedError

DEEPEST: Final = 2
HOTTEST: Final = 2.0
BAD_BODY: Final = "invalid request body"
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})


def check(body: Json, models: Mapping[str, Model]) -> list[Model]:
    """The models to try, the primary first. Raises RefusedError (400) in the vendor's words."""
    _check_messages(body)
    chosen = [_known(body.get("model"), models)]
    for parameter in body:
        if chosen[0].lacks(parameter) and body[parameter] is not None and body[parameter] is not False:
            raise RefusedError(400, f"model {chosen[0].id} does not support {parameter}")
    _check_numbers(body)
    if body.get("model_region") not in (None, "global"):
        raise RefusedError(400, "model_region can only be set to global")
    if body.get("response_format") is not None:
        _check_format(body["response_format"])
    for step in body.get("post_processing_steps") or []:
        if not isinstance(step, dict) or step.get("type") != "json-repair":
            raise _invalid("post_processing_steps: only json-repair is known")
    return chosen + _fallbacks(body, models)


def _fallbacks(body: Json, models: Mapping[str, Model]) -> list[Model]:
    config = body.get("fallback_config") or {}
    if not isinstance(config, dict) or not isinstance(config.get("depth", 1), int):
        raise _invalid("fallback_config: an object with retry and depth is expected")
    if config.get("depth", 1) > DEEPEST:
        raise RefusedError(400, "fallback_config depth cannot be greater than 2")
    fallbacks = body.get("fallbacks") or []
    if not isinstance(fallbacks, list) or any(not isinstance(one, dict) or "model" not in one for one in fallbacks):
        raise _invalid("fallbacks: a list of objects with a model is expected")
    return [_known(fallback["model"], models) for fallback in fallbacks]


def _invalid(error: str) -> RefusedError:
    return RefusedError(400, BAD_BODY, errors=[error])


def _known(name: Any, models: Mapping[str, Model]) -> Model:
    if not isinstance(name, str) or not name:
        raise _invalid("model: a text is required")
    if name not in models:
        raise RefusedError(400, f"model {name} is not supported")
    return models[name]


def _check_messages(body: Json) -> None:
    messages = body.get("messages")
    if not messages and not body.get("prompt"):
        raise RefusedError(400, "one of messages or prompt required")
    if messages is not None and not isinstance(messages, list):
        raise _invalid("messages: a list is expected")
    for message in messages or []:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise _invalid("messages: each needs a role of system, user, assistant or tool")
        if not isinstance(message.get("content"), str | list) and message["role"] != "assistant":
            raise _invalid("messages: content must be a text or a list of parts")
    if not isinstance(body.get("prompt", ""), str):
        raise _invalid("prompt: a text is expected")


def _check_numbers(body: Json) -> None:
    most = body.get("max_tokens")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise _invalid("max_tokens: a whole number of at least 1 is expected")
    heat = body.get("temperature")
    if heat is not None and (not isinstance(heat, int | float) or not 0 <= heat <= HOTTEST):
        raise _invalid("temperature: a number from 0 to 2 is expected")


def _check_format(wanted: Any) -> None:
    inner = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if not isinstance(inner, dict) or wanted.get("type") != "json_schema":
        raise RefusedError(400, "response_format is invalid: type json_schema with a json_schema is expected")
    if not isinstance(inner.get("schema"), dict) or not inner.get("name"):
        raise RefusedError(400, "response_format is invalid: json_schema needs a name and a schema")
