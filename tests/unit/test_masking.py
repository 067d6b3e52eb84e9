"""What is masked before anything is told."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.masking import masked, told


def test_a_fencing_token_and_counts_of_tokens_are_no_secrets() -> None:
    assert masked({"token": 7, "max_tokens": 100, "input_tokens": 5}) == {
        "token": 7,
        "max_tokens": 100,
        "input_tokens": 5,
    }


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://b.s3.example/k.mp3?X-Amz-Signature=abc", "https://b.s3.example/k.mp3?***"),
        ("GET https://u:p@h.example/a#frag failed", "GET https://***@h.example/a#*** failed"),
        ("HTTPS://h.example/?a=1 and http://i.example?b=2", "HTTPS://h.example/?*** and http://i.example?***"),
        ("sent Bearer abc.def to it", "sent Bearer *** to it"),
        ("file:///inbox/what?.mp3", "file:///inbox/what?.mp3"),
        ("plain", "plain"),
    ],
)
def test_queries_users_and_credentials_are_cut_out_of_any_text(said: str, shown: str) -> None:
    assert told(said) == shown


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), JSON, max_size=5))
def test_any_fields_make_a_line(fields: dict[str, object]) -> None:
    assert isinstance(orjson.loads(orjson.dumps(masked(fields))), dict)
