"""Tokens of callbacks, and what callbacks say."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import callbacks, tokens
from service.domain.callbacks import Malformed, Notice
from service.domain.tokens import genuine, token

NEW, OLD = "n" * 32, "o" * 32


def test_a_token_is_the_hmac_of_the_jobs_id_in_hex() -> None:
    assert token(NEW, "job_1") == hmac.new(NEW.encode(), b"job_1", hashlib.sha256).hexdigest()


def test_a_secret_is_named_without_telling_anything_of_it() -> None:
    assert tokens.key_id(NEW) == tokens.key_id(NEW) != tokens.key_id(OLD)
    assert len(tokens.key_id(NEW)) == 12
    # Not the token of any job: whoever reads a row must not be able to sign with what is in it.
    assert tokens.key_id(NEW) != token(NEW, "")[:12]


@given(job=st.text(max_size=64), presented=st.binary(max_size=80))
def test_only_the_jobs_own_token_is_genuine(job: str, presented: bytes) -> None:
    own = {token(NEW, job).encode(), token(OLD, job).encode()}
    assert genuine(presented, job, [NEW, OLD]) == (presented in own)
    assert all(genuine(one, job, [NEW, OLD]) for one in own)
    assert not genuine(token(NEW, job + "x").encode(), job, [NEW, OLD])


def test_without_secrets_nothing_is_genuine() -> None:
    assert not genuine(token("", "job_1").encode(), "job_1", [])


def test_every_secret_is_compared_even_after_one_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def watched(presented: bytes, expected: bytes) -> bool:
        compared.append(expected)
        return presented == expected

    monkeypatch.setattr(tokens.hmac, "compare_digest", watched)
    assert genuine(token(NEW, "job_1").encode(), "job_1", [NEW, OLD])
    assert len(compared) == 2


def test_the_address_of_a_job_lies_below_the_prefix() -> None:
    for url in ("https://h.example", "https://h.example/", "https://h.example/a/b/", "https://h.example/%61"):
        address = callbacks.address(url, "job_1")
        assert callbacks.prefix(address.removesuffix("/callbacks/job_1")) == callbacks.prefix(url)
        assert "//" not in address.removeprefix("https://")
    assert callbacks.prefix("") == "/callbacks/"


def test_a_known_word_is_told_from_an_unknown_one() -> None:
    assert callbacks.understand(b'{"status":"error","transcript_id":"t"}') == Notice(word="error", subject="t")
    assert callbacks.understand(b'{"status":"error","transcript_id":"t"}').known
    assert not callbacks.understand(b'{"status":"archived"}').known


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_whatever_the_body_it_is_understood_or_malformed(body: bytes) -> None:
    try:
        notice = callbacks.understand(body)
    except Malformed:
        return
    assert 0 < len(notice.word) <= 64
