"""What the LLM Gateway offers, in our words (vendor API reference: models)."""

from collections.abc import Mapping

from service.domain.job import Fact


class Model(Fact):
    """One model as the live catalogue tells of it. What it does not tell is None.

    `context` and `most_output` in tokens; `parameters` are the request parameters that only some models take and this
    one does; `retires_at` in epoch seconds; prices in dollars a token, without discounts. `regional_surcharge` is the
    part of a price that is added where a request must stay in its region.
    """

    id: str
    context: int | None = None
    most_output: int | None = None
    parameters: frozenset[str] | None = None
    retires_at: float | None = None
    input_price: float | None = None
    output_price: float | None = None
    cache_read_price: float | None = None
    cache_write_price: float | None = None
    regional_surcharge: float = 0.0


Models = Mapping[str, Model]
"""By id."""
