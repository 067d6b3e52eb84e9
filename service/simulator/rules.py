"""The fault dial's language: which calls a rule is about, and what it does to them.

A rule is `{"on": call, "do": action, "match": {...}, "times": n, "skip": n, "probability": p}` plus the action's
parameters:

- `on`: one of EVENTS; `captions` covers every part of a transcript, `any` every HTTP call. Left out where the action
  tells.
- `match`: all must hold. `model` and `transcript_id` exactly; `job` is part of the webhook_url, `audio` part of the
  audio_url, `contains` part of the request's JSON.
- `times`: how often it applies (null: until removed); `skip`: how many it lets pass first; `probability`: per call.

Actions: `status` refuses (`envelope`: `own`, `handler`, `auth`, `nested`), `account` is trouble with the `key` or the
`balance`, `reset` cuts the connection before anything was done, `lose_answer` after all was done (with `status`: an
answer of something in between), `garble` spoils the body, `slow` waits before it handles the call or `after`. Of a
submission: `fail`, `blank`, `stuck`, `take`, `echo_secret`. Of an answer: `truncate`, `finish`, `null_content`,
`broken_json`, `say`, `old_usage`, `model_down` (what the Gateway's own retry and fallbacks rescue). Of the catalogue:
`retire` takes a model out of it, `retire_at` says that it will be, `withdraw` takes a parameter away from it. Of a
webhook: `lose`, `duplicate`, `delay`, `status_word`, `forge` (`header` `wrong`, `right`, `missing`; `path` and
`transcript` `same` or `unknown`; any `body`; beside the genuine one or `instead` of it).
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from service.simulator.wire import Json, RefusedError

_NUMBER, _TEXT, _BOOL = (int, float), (str,), (bool,)
HTTP: Final = ("submit", "upload", "read", "list", "delete", "captions", "ask", "models", "understanding")
EVENTS: Final = (*HTTP, "webhook", "any")
MATCHES: Final = ("model", "contains", "transcript_id", "job", "audio")
_ENVELOPE: Final = ("own", "nested", "handler", "auth")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What an action applies to, and its parameters with their types and defaults."""

    on: tuple[str, ...]
    parameters: Mapping[str, tuple[tuple[type, ...], Any]] = field(default_factory=dict)

    def defaults(self) -> Json:
        return {name: default for name, (_, default) in self.parameters.items()}


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # Instead of, before or after the call itself.
        "status": Kind(
            on=HTTP,
            parameters={
                "status": ((int,), 503),
                "body": ((str, dict), None),
                "message": (_TEXT, None),
                "retry_after": (_NUMBER, None),
                "envelope": (_TEXT, "own"),
            },
        ),
        "account": Kind(on=HTTP, parameters={"trouble": (_TEXT, "key")}),
        "reset": Kind(on=HTTP),
        "lose_answer": Kind(on=HTTP, parameters={"status": ((int,), None)}),
        "garble": Kind(on=HTTP),
        "slow": Kind(on=HTTP, parameters={"seconds": (_NUMBER, 1.0), "after": (_BOOL, False)}),
        # A job's fate, decided when it is submitted.
        "fail": Kind(on=("submit",), parameters={"error": (_TEXT, "Server error, developers have been alerted")}),
        "blank": Kind(on=("submit",)),
        "stuck": Kind(on=("submit",)),
        "echo_secret": Kind(on=("submit",)),
        "take": Kind(on=("submit",), parameters={"seconds": (_NUMBER, None), "from": (_NUMBER, 0), "to": (_NUMBER, 0)}),
        # What the Gateway's model does.
        "truncate": Kind(on=("ask",), parameters={"finish_reason": (_TEXT, None)}),
        "finish": Kind(on=("ask",), parameters={"finish_reason": (_TEXT, "content_filter")}),
        "null_content": Kind(on=("ask",)),
        "broken_json": Kind(on=("ask",)),
        "omit": Kind(on=("ask",), parameters={"property": (_TEXT, "")}),
        "mistype": Kind(on=("ask",), parameters={"property": (_TEXT, "")}),
        "say": Kind(on=("ask",), parameters={"content": (_TEXT, "")}),
        "old_usage": Kind(on=("ask",)),
        "model_down": Kind(on=("ask",), parameters={"status": ((int,), 502)}),
        # What the catalogue says of a model, and questions meet.
        "retire": Kind(on=("models",), parameters={"model": (_TEXT, "")}),
        "retire_at": Kind(on=("models",), parameters={"model": (_TEXT, ""), "at": ((int,), 0)}),
        "withdraw": Kind(on=("models",), parameters={"model": (_TEXT, ""), "parameter": (_TEXT, "response_format")}),
        # What becomes of a webhook.
        "lose": Kind(on=("webhook",)),
        "duplicate": Kind(on=("webhook",), parameters={"n": ((int,), 1), "gap": (_NUMBER, 0.0)}),
        "delay": Kind(
            on=("webhook",), parameters={"seconds": (_NUMBER, None), "from": (_NUMBER, 0), "to": (_NUMBER, 0)}
        ),
        "status_word": Kind(on=("webhook",), parameters={"word": (_TEXT, "finished")}),
        "forge": Kind(
            on=("webhook",),
            parameters={
                "header": (_TEXT, "wrong"),
                "path": (_TEXT, "same"),
                "transcript": (_TEXT, "same"),
                "body": (_TEXT, None),
                "instead": (_BOOL, False),
            },
        ),
    }
)
CHOICES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        ("status", "envelope"): _ENVELOPE,
        ("account", "trouble"): ("key", "balance"),
        ("forge", "header"): ("wrong", "right", "missing"),
        ("forge", "path"): ("same", "unknown"),
        ("forge", "transcript"): ("same", "unknown"),
    }
)


@dataclass(kw_only=True, slots=True)
class Rule:
    """One setting of the dial. `times` counts down to nothing; None lasts until the rule is removed."""

    id: int
    on: str
    do: str
    match: Mapping[str, str]
    times: int | None
    skip: int
    probability: float
    given: Mapping[str, Any]
    applied: int = 0

    def document(self) -> Json:
        return {
            "id": self.id,
            "on": self.on,
            "do": self.do,
            "match": dict(self.match),
            "times": self.times,
            "skip": self.skip,
            "probability": self.probability,
            **self.given,
            "applied": self.applied,
        }


def parse_rule(entry: object, numbers: "itertools.count[int]") -> Rule:
    """Raises RefusedError (400) with one sentence that says what is wrong and what would be right."""
    if not isinstance(entry, dict):
        raise RefusedError(400, "A rule is a JSON object.")
    do, on = str(entry.get("do")), entry.get("on")
    if do not in KINDS:
        raise RefusedError(400, f"do: {do!r} is none of {', '.join(KINDS)}.")
    kind = KINDS[do]
    allowed = (*kind.on, "any") if kind.on is HTTP else kind.on
    on = on if on is not None else (kind.on[0] if len(kind.on) == 1 else None)
    if on not in allowed:
        raise RefusedError(400, f"on: {on!r} does not go with do {do!r}; it takes {', '.join(allowed)}.")
    extra = set(entry) - {"do", "on", "match", "times", "skip", "probability", *kind.parameters}
    if extra:
        raise RefusedError(
            400, f"{', '.join(sorted(extra))}: unknown with do {do!r}; it knows {', '.join(kind.parameters)}."
        )
    return Rule(
        id=next(numbers),
        on=str(on),
        do=do,
        match=_match(entry.get("match") or {}),
        times=_number(entry, "times", None, whole=True),
        skip=_number(entry, "skip", 0, whole=True) or 0,
        probability=_number(entry, "probability", 1.0, whole=False) or 0.0,
        given={name: _given(entry, do, name, kinds, default) for name, (kinds, default) in kind.parameters.items()},
    )


def _match(match: object) -> Mapping[str, str]:
    if not isinstance(match, dict) or any(
        name not in MATCHES or not isinstance(text, str) for name, text in match.items()
    ):
        raise RefusedError(400, f"match: takes texts under {', '.join(MATCHES)}.")
    return match


def _number(entry: Json, name: str, default: Any, *, whole: bool) -> Any:
    value = entry.get(name, default)
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < 0
    ):
        raise RefusedError(400, f"{name}: takes a number that is not negative, not {value!r}.")
    return value


def _given(entry: Json, do: str, name: str, kinds: tuple[type, ...], default: Any) -> Any:
    value = entry.get(name, default)
    choices = CHOICES.get((do, name))
    if choices is not None and value not in choices:
        raise RefusedError(400, f"{name}: {value!r} is none of {', '.join(choices)}.")
    if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not _BOOL)):
        raise RefusedError(400, f"{name}: takes {' or '.join(kind.__name__ for kind in kinds)}, not {value!r}.")
    return value
