"""`afterword simulate`: the AssemblyAI stand-in alone."""

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.models import OptionInfo

from service.cli.complaints import refusal
from service.cli.screen import note, out
from service.simulator.options import Options
from service.simulator.rules import MATCHES, parse_rule
from service.simulator.serve import ListenError, run
from service.simulator.wire import RefusedError

KEY: Final = "ASSEMBLYAI_API_KEY"
DEFAULT_KEY: Final = "stand-in"
DEFAULTS: Final = Options()

Key = Annotated[
    str | None, typer.Option(help=f"The only key it accepts; by default the value of {KEY}, else `{DEFAULT_KEY}`.")
]
FaultRules = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="A fault, such as 'webhook lose probability=0.2'; may be repeated."),
]
Library = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="Folder of the recordings that it knows (scripts.json).")
]


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def _span(told: str) -> OptionInfo:
    return _option(min=0, metavar="SECONDS", help=told)


def _many(told: str) -> OptionInfo:
    return _option(min=1, metavar="N", help=told)


def _option(*, min: int, metavar: str, help: str) -> OptionInfo:  # noqa: A002  # typer's names
    found = typer.Option(min=min, metavar=metavar, help=help)
    assert isinstance(found, OptionInfo)
    return found


def simulate(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    ready_file: Annotated[Path | None, typer.Option(help="Gets the URL once it listens.")] = None,
    api_key: Key = None,
    fault: FaultRules = None,
    queue_seconds: Annotated[float, _span("How long a transcript stays queued.")] = DEFAULTS.queue_seconds,
    process_seconds: Annotated[float, _span("How long it is processed.")] = DEFAULTS.process_seconds,
    parallel_jobs: Annotated[int, _many("Transcripts worked on at once.")] = DEFAULTS.parallel_jobs,
    redacted_audio_seconds: Annotated[float, _span("Until redacted audio is ready.")] = DEFAULTS.redacted_audio_seconds,
    webhook_attempts: Annotated[int, _many("Deliveries of a webhook at most.")] = DEFAULTS.webhook_attempts,
    webhook_gap_seconds: Annotated[float, _span("Pause between two of them.")] = DEFAULTS.webhook_gap_seconds,
    webhook_timeout_seconds: Annotated[float, _span("How long one may take.")] = DEFAULTS.webhook_timeout_seconds,
    gateway_limit: Annotated[int, _many("Requests per model and window.")] = DEFAULTS.gateway_limit,
    gateway_window_seconds: Annotated[float, _span("How long a window lasts.")] = DEFAULTS.gateway_window_seconds,
    answer_seconds: Annotated[float, _span("How long the Gateway takes to answer.")] = DEFAULTS.answer_seconds,
    upstream_retry_seconds: Annotated[float, _span("Its pause after a failure.")] = DEFAULTS.upstream_retry_seconds,
    refuse_unfinished: Annotated[
        bool, typer.Option(help="Refuse prompts on unfinished transcripts.")
    ] = DEFAULTS.refuse_unfinished,
    seed: Annotated[int, typer.Option(help="Seeds the dice of the faults.")] = DEFAULTS.seed,
    recordings: Library = DEFAULTS.recordings,
) -> None:
    """Run the AssemblyAI stand-in alone, for development and tests.

    Its answers are extracts of the transcript. Faults can also be set while it runs (POST /simulator/faults); what it
    was asked, and what that would have cost, is at GET /simulator/ledger.
    """
    options = Options(
        api_key=api_key or os.environ.get(KEY, "").strip() or DEFAULT_KEY,
        faults=_faults(fault or ()),
        queue_seconds=queue_seconds,
        process_seconds=process_seconds,
        parallel_jobs=parallel_jobs,
        redacted_audio_seconds=redacted_audio_seconds,
        webhook_attempts=webhook_attempts,
        webhook_gap_seconds=webhook_gap_seconds,
        webhook_timeout_seconds=webhook_timeout_seconds,
        gateway_limit=gateway_limit,
        gateway_window_seconds=gateway_window_seconds,
        answer_seconds=answer_seconds,
        upstream_retry_seconds=upstream_retry_seconds,
        refuse_unfinished=refuse_unfinished,
        seed=seed,
        recordings=recordings,
    )
    _serve(options, host, port, ready_file)


def _serve(options: Options, host: str, port: int, ready_file: Path | None) -> None:
    if not (options.recordings / "scripts.json").is_file():
        what = f"there is no scripts.json in {options.recordings}"
        raise refusal("--recordings", what, "name a folder that has one")
    if ready_file is not None and not ready_file.absolute().parent.is_dir():
        raise refusal("--ready-file", f"its folder {ready_file.parent} is not there", "make it, or name another one")
    try:
        run(options, host=host, port=port, ready_file=ready_file, ready=lambda url: _tell(url, options))
    except ListenError as error:
        raise refusal("--port", str(error), "stop what listens there, or choose another port or address") from None


def _tell(url: str, options: Options) -> None:
    out(url)
    note("a stand-in for AssemblyAI: it knows a few recordings by heart, and its answers are extracts")
    note("point a service at it with:")
    note(f"  AFTERWORD_ASSEMBLYAI_URL={url}")
    note(f"  AFTERWORD_LLM_GATEWAY_URL={url}")
    if options.api_key == DEFAULT_KEY:
        note(f"  {KEY}={DEFAULT_KEY}")
    else:
        note(f"  {KEY} as it was given here")
    note(f"faults: {url}/simulator/faults    ledger: {url}/simulator/ledger    stop: Ctrl-C")


def _faults(texts: Sequence[str]) -> Sequence[Mapping[str, object]]:
    rules = [_rule(text) for text in texts]
    for text, rule in zip(texts, rules, strict=True):
        try:
            parse_rule(rule, itertools.count(1))
        except RefusedError as error:
            raise refusal(f"--fault '{text}'", error.message.rstrip("."), "mend the rule") from None
    return rules


def _rule(text: str) -> Mapping[str, object]:
    """`ON DO name=value…`: what the dial takes as JSON; names of MATCHES narrow the rule down."""
    words = text.split()
    if len(words) < 2 or not all("=" in word for word in words[2:]):  # noqa: PLR2004
        raise refusal(f"--fault '{text}'", "it is no rule", "write it like 'webhook lose probability=0.2'")
    rule: dict[str, object] = {"on": words[0], "do": words[1]}
    match: dict[str, str] = {}
    for name, _, value in (word.partition("=") for word in words[2:]):
        if name in MATCHES and words[1] != "retire":
            match[name] = value
        else:
            rule[name] = _value(value)
    return rule | ({"match": match} if match else {})


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
