"""What can go wrong between a worker and its row.

EngineError
├── LeaseLost      another worker has the row now, or it is gone: drop everything, save nothing
├── IllegalStep    a bug: the table of legal steps has no such step
├── OwnedByAnother the name that a save claims to own belongs to another row
└── StoreTrouble   the store did not answer, or could not: nothing is known to have been written
"""


class EngineError(Exception):
    """Any of the below."""


class LeaseLost(EngineError):
    """The row is no longer ours; whatever we meant to write is void."""


class IllegalStep(EngineError):
    """The table of legal steps has no step from one status to the other."""

    def __init__(self, status: str, to: str) -> None:
        super().__init__(f"no legal step from {status} to {to}")


class OwnedByAnother(EngineError):
    """Another row owns that name already."""


class StoreTrouble(EngineError):
    """The store is locked, full, read-only, unreachable or slow. Nothing is known to have been written."""
