"""The log of a whole run, in all its detail, holds nothing secret and nothing that was said."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from service.domain.tokens import HEADER, token
from tests.longrun.processes import Process, eventually, rows
from tests.ports import free_port
from tests.premises import SECRET, Premises
from tests.standin import KEY, ledger, set_faults

SAID = ("Zanzibar", "pineapple", "velociraptor", "marmalade")
"""Words that are spoken, and so stand in transcripts, in prompts and in answers."""
OPS_TOKEN = "the-token-of-the-private-listener"
LEAKED = "what-the-model-said-in-confidence"


def test_no_secret_and_no_word_that_was_said_is_in_the_log(tmp_path: Path, standin: str) -> None:
    premises = Premises(
        tmp_path,
        standin,
        AFTERWORD_LOG_LEVEL="debug",
        AFTERWORD_OPS_TOKEN=OPS_TOKEN,
        AFTERWORD_OPS_PORT=str(free_port()),
    )
    # Everything that can go wrong goes wrong once, for it is errors that talk.
    echo = {"status": 500, "message": f"upstream failed near {SAID[0]} with {KEY}"}
    set_faults(
        standin,
        {"on": "submit", "do": "echo_secret"},
        *({"on": call, "do": "garble", "times": 1} for call in ("upload", "read", "ask", "list")),
        *({"on": call, "do": "reset", "times": 1} for call in ("upload", "submit", "read", "ask")),
        {"on": "submit", "do": "lose_answer", "times": 1},
        {"on": "webhook", "do": "forge", "times": 2},
        {"on": "webhook", "do": "duplicate", "times": 2},
        {"on": "ask", "do": "status", "times": 1, **echo},
        {"on": "ask", "do": "say", "content": LEAKED, "match": {"contains": "Name the mood"}, "times": 2},
        {"on": "ask", "do": "truncate", "match": {"contains": "Name the mood"}, "skip": 2, "times": 1},
    )
    with Process(premises) as service:
        for number, word in enumerate(SAID):
            premises.drop(f"{number}.wav", f"We spoke of {word}.", f"{word} it is, then, said the other.")
        eventually(lambda: len(premises.events()) == len(SAID))
        ids = [row.id for row in rows(premises).values()]
        public = f"http://127.0.0.1:{premises.port}/callbacks/{ids[0]}"
        proof = {HEADER: token(SECRET, ids[0])}
        for body in (f'{{"status": "{SAID[0]} {SAID[1]}", "transcript_id": "x"}}', SAID[0], "[]"):
            httpx2.post(public, content=body, headers=proof)
        httpx2.post(public, content="{}", headers={HEADER: "f" * 64})
        private = f"http://127.0.0.1:{premises.environment['AFTERWORD_OPS_PORT']}"
        httpx2.get(f"{private}/api/jobs", headers={"authorization": f"Bearer {OPS_TOKEN}"}).raise_for_status()
        httpx2.post(
            f"{private}/api/jobs",
            json={"target": "https://user:pa55word@audio.invalid/a.wav?X-Amz-Signature=5ec12e7"},
            headers={"authorization": f"Bearer {OPS_TOKEN}"},
        )
        assert service.stop()[0] == 0
    log = service.log.read_text()
    uploads = [urlsplit(upload["upload_url"]).path for upload in ledger(standin)["uploads"]]
    tokens = [token(SECRET, job_id) for job_id in ids]
    assert uploads
    secrets = [KEY, SECRET, OPS_TOKEN, LEAKED, "pa55word", "5ec12e7", "f" * 64, *SAID, *uploads, *tokens]
    assert [secret for secret in secrets if secret.lower() in log.lower()] == []
    # It did talk: of each of these steps, and of trouble.
    told = {line["event"] for line in service.lines()}
    assert {"job.retried", "callback.refused", "callback.received", "answer.stored", "job.published"} <= told
