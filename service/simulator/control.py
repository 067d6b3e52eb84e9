"""`/simulator/...`: the fault dial, the ledger and the reset. No key is needed."""

from starlette.requests import Request
from starlette.responses import Response

from service.simulator.account import Account
from service.simulator.wire import RefusedError, Reply, read_json


async def show_faults(request: Request, account: Account) -> Response:
    del request
    return Reply(account.faults.document())


async def add_faults(request: Request, account: Account) -> Response:
    account.faults.add(await read_json(request, "The fault dial takes a JSON object with rules."))
    return Reply(account.faults.document())


async def clear_faults(request: Request, account: Account) -> Response:
    rule = request.path_params.get("rule")
    account.faults.clear(int(rule) if rule is not None else None)
    return Reply(account.faults.document())


async def show_ledger(request: Request, account: Account) -> Response:
    if request.query_params.get("only") == "totals":
        return Reply(account.ledger.totals())
    return Reply(account.ledger.document())


async def reset(request: Request, account: Account) -> Response:
    """Forgets everything: transcripts, uploads, ledger, faults, windows, and all that was still to come."""
    del request
    account.clear()
    return Reply({"status": "ok"})


async def health(request: Request, account: Account) -> Response:
    del request
    return Reply({"status": "ok", "transcripts": len(account.transcripts)})


async def index(request: Request, account: Account) -> Response:
    del request, account
    return Reply(
        "This is a stand-in for AssemblyAI's API, for development and tests; answers are extracts.\n"
        "/v2 transcripts, /v1 LLM Gateway, /simulator/faults the fault dial, /simulator/ledger what it would cost.\n",
        media_type="text/plain",
    )


async def unknown(request: Request, account: Account) -> Response:
    del request, account
    raise RefusedError(404, "Not found")
