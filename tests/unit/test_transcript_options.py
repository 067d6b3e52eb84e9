"""What a transcription's options say of its outcome."""

import pytest
from pydantic import JsonValue

from service.domain.pipelines.transcript_options import as_discreet

NAMES: dict[str, JsonValue] = {"redact_pii": True, "redact_pii_policies": ["person_name"]}
MORE: dict[str, JsonValue] = {**NAMES, "redact_pii_policies": ["person_name", "occupation"]}
BRANDS: dict[str, JsonValue] = {**NAMES, "redact_static_entities": {"BRAND": ["Kettle", "Pan"]}}
BRAND: dict[str, JsonValue] = {**NAMES, "redact_static_entities": {"BRAND": ["Kettle"]}}


@pytest.mark.parametrize(
    ("made", "wanted", "will_do"),
    [
        ({}, {}, True),
        (MORE, {}, True),
        ({}, NAMES, False),
        ({**NAMES, "redact_pii": False}, NAMES, False),
        (NAMES, NAMES, True),
        (MORE, NAMES, True),
        (NAMES, MORE, False),
        (NAMES, {"redact_pii": True}, False),
        (BRANDS, NAMES, True),
        (BRANDS, BRAND, True),
        (BRAND, BRANDS, False),
        (NAMES, BRAND, False),
        (NAMES, {**NAMES, "redact_pii_sub": "entity_name"}, True),
    ],
)
def test_a_transcript_will_do_if_at_least_as_much_was_taken_out(
    made: dict[str, JsonValue], wanted: dict[str, JsonValue], will_do: bool
) -> None:
    assert as_discreet(made, wanted) is will_do
