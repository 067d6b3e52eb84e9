"""The fault dial: a list of rules, and the dice that decide whether one applies."""

import itertools
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.simulator.catalogue import Model
from service.simulator.rules import KINDS, Rule, parse_rule
from service.simulator.transcripts import Fate
from service.simulator.wire import Json, RefusedError

TRANSPORT: Final = frozenset({"status", "account", "reset", "lose_answer", "garble", "slow"})
FATES: Final = frozenset({"fail", "blank", "stuck", "echo_secret", "take"})
ANSWERS: Final = frozenset({"truncate", "finish", "null_content", "broken_json", "omit", "mistype", "say", "old_usage"})
DELIVERIES: Final = frozenset({"lose", "duplicate", "delay", "status_word", "forge"})
UPSTREAM: Final = frozenset({"model_down"})


def _nothing() -> str:
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What a rule can see of a call or a webhook. `text` is made only if a rule looks into it."""

    on: str
    model: str = ""
    transcript_id: str = ""
    job: str = ""
    audio: str = ""
    text: Callable[[], str] = _nothing


class Faults:
    """The rules in force. Same seed, same rules, same order of calls: same faults."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rules: list[Rule] = []
        self._numbers = itertools.count(1)
        self._dice = random.Random(seed)  # noqa: S311 -- repeatable on purpose, guards nothing

    def add(self, body: Json) -> None:
        """Adds `rules`; with `replace` they take the place of the old ones, with `seed` the dice start anew.

        Raises RefusedError (400) for a bad rule, and then changes nothing.
        """
        entries, seed = body.get("rules", []), body.get("seed", self._seed)
        if not isinstance(entries, list) or not isinstance(seed, int):
            raise RefusedError(400, "rules: takes a list of rules; seed: takes a whole number.")
        fresh = [parse_rule(entry, self._numbers) for entry in entries]
        if body.get("replace"):
            self._rules.clear()
        if "seed" in body:
            self._seed = seed
            self._dice.seed(seed)
        self._rules.extend(fresh)

    def clear(self, rule_id: int | None = None) -> None:
        """Removes one rule, or all and starts the dice anew."""
        if rule_id is None:
            self._rules.clear()
            self._dice.seed(self._seed)
        else:
            self._rules = [rule for rule in self._rules if rule.id != rule_id]

    def document(self) -> Json:
        """The rules in force, and what rules may say."""
        knows = {
            do: {"on": kind.on, **{name: of[1] for name, of in kind.parameters.items()}} for do, kind in KINDS.items()
        }
        return {"seed": self._seed, "rules": [rule.document() for rule in self._rules], "knows": knows}

    def draw(self, call: Call, kinds: Collection[str]) -> list[Rule]:
        """The rules of these kinds that now apply to the call, in their order; each counts as used.

        Of several rules that do the same, the first that falls applies. Nothing is drawn after a rule that keeps the
        call from happening.
        """
        drawn: list[Rule] = []
        for rule in self._rules:
            if rule.do not in kinds or any(rule.do == other.do for other in drawn):
                continue
            if not _concerns(rule, call) or not self._falls(rule):
                continue
            drawn.append(rule)
            if rule.do in {"status", "account", "reset", "lose"}:
                break
        return drawn

    def offered(self, models: Mapping[str, Model]) -> dict[str, Model]:
        """The catalogue as the dial has changed it."""
        offered = dict(models)
        for rule in self._rules:
            model = offered.get(rule.given.get("model", "")) if rule.times != 0 else None
            if model is None:
                continue
            if rule.do == "retire":
                del offered[model.id]
            elif rule.do == "retire_at":
                offered[model.id] = replace(model, retires_at=rule.given["at"])
            elif rule.do == "withdraw":
                supported = tuple(each for each in model.supported if each != rule.given["parameter"])
                offered[model.id] = replace(model, supported=supported)
        return offered

    def fate(self, call: Call) -> Fate:
        """What is in store for a submission."""
        rules = {rule.do: rule for rule in self.draw(call, FATES)}
        return Fate(
            error=rules["fail"].given["error"] if "fail" in rules else None,
            blank="blank" in rules,
            stuck="stuck" in rules,
            seconds=self.seconds(rules["take"]) if "take" in rules else None,
            echo_secret="echo_secret" in rules,
        )

    def seconds(self, rule: Rule) -> float:
        """A rule's `seconds`, or a throw between its `from` and `to`."""
        fixed = rule.given["seconds"]
        if fixed is not None:
            return float(fixed)
        return self._dice.uniform(float(rule.given["from"]), float(rule.given["to"]))

    def _falls(self, rule: Rule) -> bool:
        if rule.times == 0 or (rule.probability < 1 and self._dice.random() >= rule.probability):
            return False
        if rule.skip:
            rule.skip -= 1
            return False
        if rule.times is not None:
            rule.times -= 1
        rule.applied += 1
        return True


def _concerns(rule: Rule, call: Call) -> bool:
    if rule.on != call.on and (rule.on != "any" or call.on == "webhook"):
        return False
    match = rule.match
    return (
        match.get("model", call.model) == call.model
        and match.get("transcript_id", call.transcript_id) == call.transcript_id
        and match.get("job", "") in call.job
        and match.get("audio", "") in call.audio
        and ("contains" not in match or match["contains"] in call.text())
    )
