"""What an answer took, priced when it arrived, and counted for those who watch."""

from collections.abc import Mapping

from service.domain.asking.completion import Completion
from service.domain.tally import PIPELINE_COST, PIPELINE_REQUESTS, PIPELINE_TOKENS, TOKENS
from service.domain.use.prices import answer_cost
from service.domain.use.usage import Usage
from service.stages.context import Context


def metered(completion: Completion, request: Mapping[str, object], pipeline: str, context: Context) -> Usage:
    """The completion's usage with its estimated cost, where the catalogue has a price of the model that answered.

    A model that the catalogue does not know by the name it answers under is taken for the one that was asked.
    """
    models, asked = context.ports.catalogue.models or {}, str(request.get("model"))
    model = completion.model if completion.model in models else asked
    known = models.get(model)
    cost = answer_cost(completion.usage, known, request.get("model_region")) if known else None
    usage = completion.usage.model_copy(update={"estimated_cost": cost})
    count = context.tally.count
    count(TOKENS, usage.input_tokens, direction="input")
    count(TOKENS, usage.output_tokens, direction="output")
    count(PIPELINE_TOKENS, usage.input_tokens, pipeline=pipeline, model=model, direction="input")
    count(PIPELINE_TOKENS, usage.output_tokens, pipeline=pipeline, model=model, direction="output")
    count(PIPELINE_REQUESTS, usage.requests, pipeline=pipeline, model=model)
    count(PIPELINE_COST, cost or 0.0, pipeline=pipeline, model=model)
    return usage
