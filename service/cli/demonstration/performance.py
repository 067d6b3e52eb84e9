"""The demonstration from the first process to the last, with the stand-in or with AssemblyAI itself."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import httpx2

from service.cli.complaints import FAILED
from service.cli.demonstration import figures, report
from service.cli.demonstration.processes import Process, called_back, free_port
from service.cli.demonstration.rehearsal import Plan
from service.cli.demonstration.story import Stop, Stopped, Story, Stuck, Watch
from service.cli.demonstration.vendor import KNOBS, RECONCILE_AFTER, StandIn, troubles
from service.cli.demonstration.watching import Course, Log
from service.cli.figures import count
from service.cli.progress import progress
from service.cli.screen import note, out

WITHIN: Final = 120.0
"""Seconds for the bundled recordings."""
WITHIN_OWN: Final = 900.0
"""Seconds where somebody's own recording, or AssemblyAI itself, takes part."""
KEY: Final = "only-the-stand-in-knows-it"
LAST_LINES: Final = 12


def with_standin(show: Plan, stop: Stop, *, keep: bool) -> int:
    """Everything, troubles included. The exit code; raises Stopped."""
    bad = troubles(show.samples)
    with ExitStack() as stack:
        watch = _watch(show, stop, WITHIN_OWN if any(each.own for each in show.samples) else WITHIN)
        try:
            with progress() as watch.progress:
                standin, url = _standin(show, watch, stack)
                at_vendor = {
                    "ASSEMBLYAI_API_KEY": KEY,
                    "AFTERWORD_ASSEMBLYAI_URL": url,
                    "AFTERWORD_LLM_GATEWAY_URL": url,
                }
                service = _service(show, at_vendor | called_back(free_port(), RECONCILE_AFTER), watch, stack)
                watch.say(f"the stand-in listens at {url}, the service runs as process {service.pid}")
                vendor = stack.enter_context(StandIn(url))
                vendor.misbehave(bad.rules())
                _dropped(show, watch)
                Story(service=service, standin=standin, vendor=vendor, troubles=bad, watch=watch).tell()
                ledger = vendor.ledger()
        except (Stuck, httpx2.HTTPError) as error:
            return _stuck(show, watch, error)
        found = figures.outcomes(show.folder)
        broken = [
            *figures.unsound(show.samples, show.pipelines, found),
            *figures.unbalanced(show.samples, found, ledger, bad, watch.starts),
        ]
        _reported(show, found, extracts=True)
        code = _closed(figures.told(found, ledger), broken, live=False)
        if keep:
            _kept(show, watch, [service, standin])
        return code


def with_vendor(show: Plan, account: Mapping[str, str], stop: Stop, *, keep: bool) -> int:
    """The same on the viewer's own account, where no trouble is made. The exit code; raises Stopped."""
    with ExitStack() as stack:
        watch = _watch(show, stop, WITHIN_OWN)
        try:
            with progress() as watch.progress:
                service = _service(show, account, watch, stack)
                watch.say(f"the service runs as process {service.pid}; nobody calls it back, it asks AssemblyAI itself")
                _dropped(show, watch)
                watch.until(watch.all_ended, "the last event", [service])
        except Stuck as stuck:
            return _stuck(show, watch, stuck)
        found = figures.outcomes(show.folder)
        _reported(show, found, extracts=False)
        code = _closed(figures.told_live(found), figures.unsound(show.samples, show.pipelines, found), live=True)
        if keep:
            _kept(show, watch, [service])
        return code


def _watch(show: Plan, stop: Stop, within: float) -> Watch:
    return Watch(log=Log(show.folder / "service.log"), stop=stop, within=within)


def _dropped(show: Plan, watch: Watch) -> None:
    """Every recording lies in the inbox, and is followed from there."""
    watch.say(f"{count(len(show.samples), 'recording')} dropped into {show.inbox}")
    for sample in show.samples:
        sample.drop(show.inbox, show.folder)
        watch.follow(Course(job_id=sample.job_id, key=sample.key, asked=len(sample.prompts(show.pipelines))))


def _standin(show: Plan, watch: Watch, stack: ExitStack) -> tuple[Process, str]:
    """The stand-in and its URL, once it listens. It is stopped when the stack unwinds."""
    told = show.folder / "standin.url"
    standin = Process(
        "the stand-in",
        ["simulate", "--port=0", f"--ready-file={told}", *(f"--{name}={value}" for name, value in KNOBS.items())],
        {**show.environment, "ASSEMBLYAI_API_KEY": KEY},
        show.folder,
        show.folder / "standin.log",
    )
    stack.callback(standin.stop)
    standin.start()
    watch.until(told.exists, "the stand-in to listen", [standin])
    return standin, told.read_text(encoding="utf-8").strip()


def _service(show: Plan, vendor: Mapping[str, str], watch: Watch, stack: ExitStack) -> Process:
    """The service, once it listens. It is stopped when the stack unwinds."""
    log = show.folder / "service.log"
    service = Process("the service", ["serve"], {**show.environment, **vendor}, show.folder, log)
    stack.callback(service.stop)
    service.start()
    watch.until(lambda: watch.starts > 0, "the service to start", [service])
    return service


def _reported(show: Plan, found: figures.Outcomes, *, extracts: bool) -> None:
    _out(report.answers(show.samples, found, extracts=extracts))
    _out(report.one_event(show.samples, found))
    _out(report.files(show.folder, found))


def _closed(ledger: str, broken: Sequence[str], *, live: bool) -> int:
    """The ledger, whether it balances, and how to go on; the exit code."""
    _out(("", "LEDGER", f"  {ledger}"))
    for sentence in broken:
        note(f"error: the ledger does not balance: {sentence}")
    if not broken:
        _out(report.next_steps(live=live))
    return FAILED if broken else 0


def _kept(show: Plan, watch: Watch, processes: Sequence[Process]) -> None:
    """Go on until somebody has had enough. Raises Stuck if a process ends by itself."""
    note("")
    note(f"Kept running: drop recordings into {show.inbox}; Ctrl-C ends it.")
    try:
        with progress() as watch.progress:
            watch.without_end(processes)
    except Stopped:
        note(f"stopped; what there is lies in {show.folder}")


def _stuck(show: Plan, watch: Watch, error: Exception) -> int:
    what = str(error) if isinstance(error, Stuck) else f"the stand-in does not answer ({type(error).__name__})"
    note(f"error: {what}")
    note(f"the last lines of {watch.log.path}:")
    for line in watch.log.tail(LAST_LINES):
        note(f"  {line}")
    note(f"what there is lies in {show.folder}")
    return FAILED


def _out(lines: Iterable[str]) -> None:
    for line in lines:
        out(line)
