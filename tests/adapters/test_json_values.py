"""JSON that others wrote, read as far as it can be."""

import pytest

from service.adapters.assemblyai.json_values import Garbled, parsed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rb'{"said": "cut \ud83d in two"}', "cut ? in two"),
        (rb'{"said": "a literal \\ud83d"}', r"a literal \ud83d"),
        (b'{"said": "bad \xff byte"}', "bad � byte"),
        (rb'{"said": "whole \ud83d\ude00"}', "whole \U0001f600"),
    ],
)
def test_half_characters_do_not_lose_what_was_paid_for(body: bytes, said: str) -> None:
    assert parsed(body) == {"said": said}


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b"<html>", b"[" * 100_000])
def test_what_is_no_object_is_garbled(body: bytes) -> None:
    with pytest.raises(Garbled):
        parsed(body)
