"""One job in full."""

import time
from collections.abc import Mapping, Sequence

import orjson

from service.cli.configuration import context_for
from service.cli.figures import size, when
from service.cli.listing import named
from service.cli.screen import columns, out, out_json
from service.cli.standing import Waits, facts, waits
from service.domain.job import Job
from service.domain.masking import told
from service.domain.pipeline import Pipelines
from service.domain.times import rfc3339
from service.domain.views import view
from service.engine.row import Row
from service.settings.load import Settings
from service.stages.context import Context


async def shown(settings: Settings, name: str, *, json: bool) -> None:
    """Print the job of that name. Raises Refused, Unavailable, StoreTrouble."""
    async with context_for(settings, Pipelines(pipelines=())) as context:
        row = await named(context.ports.jobs, name)
        job = facts(row)
        closed = await context.ports.gates.closed()
        answers = await _answers(job, context) if job else {}
        files = await _files(job, row, context) if job else {}
    now = time.time()
    waiting = waits(row, closed, now)
    if json:
        out_json(view(row) | {"waits_for": _waits_view(waiting), "answers": answers, "files": files})
        return
    for line in _lines(row, job, waiting, now):
        out(line)
    for title, entries in (("answers", answers), ("files", files)):
        if entries:
            out()
            for line in columns([(title if not at else "", *each) for at, each in enumerate(entries.items())]):
                out(line)


def _lines(row: Row, job: Job | None, waiting: Waits, now: float) -> Sequence[str]:
    pairs = [("job", str(row.id)), ("status", row.status + (f", run {job.run}" if job else ""))]
    if job is not None:
        about = job.recording
        pairs += [
            ("recording", about.uri + (f" ({size(about.size)})" if about.size is not None else "")),
            ("pipeline", job.pipeline),
            ("transcript", job.transcript.id if job.transcript else row.subject or "none yet"),
        ]
        if job.trouble is not None:
            pairs.append(("trouble", f"{job.trouble.attempts} in a row: {told(job.trouble.last)}"))
        if job.verdict is not None:
            error = job.verdict.error
            words = told(f"{error.code}: {error.message}") if error else job.verdict.skipped or ""
            pairs.append(("outcome", f"{job.verdict.outcome}" + (f" ({words})" if words else "")))
    until = f", until {when(waiting.until, now)} at the latest" if waiting.until else ""
    pairs.append(("waits for", waiting.what + until))
    if waiting.send_on:
        pairs.append(("send it on", waiting.send_on))
    return [*columns(pairs), *_timeline(job, now)]


def _timeline(job: Job | None, now: float) -> Sequence[str]:
    if job is None or not job.timeline:
        return []
    rows = [(when(each.at, now), f"run {each.run}", each.status, told(each.note or "")) for each in job.timeline]
    return ["", *columns(rows)]


async def _answers(job: Job, context: Context) -> Mapping[str, str]:
    """The state of each prompt of the present run; what it asks is known once the first request was near."""
    if job.pipeline_digest is None:
        return {}
    states: dict[str, str] = {}
    for prompt in (await context.pinned(job.pipeline_digest)).prompts:
        failure, trouble = job.prompt_failures.get(prompt.name), job.prompt_trouble.get(prompt.name)
        if await context.ports.results.get(context.place(job).answer(prompt.name, job.run)) is not None:
            states[prompt.name] = "stored"
        elif failure is not None:
            states[prompt.name] = told(f"failed ({failure.code}: {failure.message})")
        elif trouble is not None:
            states[prompt.name] = told(f"waiting, after {trouble.attempts} tries: {trouble.last}")
        else:
            states[prompt.name] = "waiting" if job.verdict is None else "not asked"
    return states


async def _files(job: Job, row: Row, context: Context) -> Mapping[str, str]:
    """The URIs that the result of the last ended run lists; before there is one, those of the transcript."""
    place, results = context.place(job), context.ports.results
    last = job.run if row.ended else job.run - 1
    body = await results.get(place.result(last)) if last else None
    if body is not None:
        try:
            files = orjson.loads(body).get("files", {})
            return {str(name): str(uri) for name, uri in files.items()}
        except (ValueError, AttributeError):
            return {"result": f"{results.uri(place.result(last))} (not one of ours any more)"}
    if job.transcript is None or not job.transcript.kept:
        return {}
    return {
        "transcript_json": results.uri(place.transcript_json),
        "transcript_txt": results.uri(place.transcript_txt),
    }


def _waits_view(waiting: Waits) -> Mapping[str, object]:
    until = None if waiting.until is None else rfc3339(waiting.until)
    return {"what": waiting.what, "until": until, "send_on": waiting.send_on}
