"""All of them together: what the stages may do to the world, in our verbs."""

from dataclasses import dataclass

from service.engine.table import Table
from service.ports.budget import RateBudget
from service.ports.places import Events, Recordings, Results
from service.ports.store import Books, Gates, Jobs, Pins
from service.ports.vendor import Catalogue, LanguageModel, Renditions, Transcriber


@dataclass(frozen=True, kw_only=True)
class Ports:
    """A stage's signature is its list of side effects."""

    table: Table
    jobs: Jobs
    pins: Pins
    gates: Gates
    books: Books
    transcriber: Transcriber
    renditions: Renditions
    language_model: LanguageModel
    catalogue: Catalogue
    budget: RateBudget
    recordings: Recordings
    results: Results
    events: Events
