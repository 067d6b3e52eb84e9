"""A claimed row in a worker's hands, and the lease on it."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

from service.engine.errors import LeaseLost
from service.engine.row import Row, Save
from service.engine.table import Table


class Hold:
    """One claimed row. Time is our own monotonic clock's, counted from before each call that set the lease.

    Once the lease is lost everything raises LeaseLost, and nothing is written any more.
    """

    def __init__(self, row: Row, table: Table, *, lease: float, since: float, monotonic: Callable[[], float]) -> None:
        """`since`: the monotonic time before the claim was made."""
        self._row = row
        self._table = table
        self._lease = lease
        self._until = since + lease
        self._monotonic = monotonic
        self._lost = False
        self._shields = 0

    @property
    def row(self) -> Row:
        """The row as it was claimed, or as this hold last saved it."""
        return self._row

    @property
    def lost(self) -> bool:
        return self._lost

    @property
    def is_shielded(self) -> bool:
        """Whether what is going on must not be cancelled."""
        return self._shields > 0

    def left(self) -> float:
        """Seconds left of the lease."""
        return 0.0 if self._lost else self._until - self._monotonic()

    async def save(self, save: Save) -> None:
        """Write what was decided. Raises LeaseLost, IllegalStep, OwnedByAnother, StoreTrouble."""
        self._row = await self._guarded(self._table.save(self._row.id, self._row.token, save))

    async def renew(self, *, progress: bool = False) -> float:
        """Hold for a full lease more; the seconds that leaves. Raises LeaseLost, StoreTrouble.

        A paid request starts only right after this.
        `row` stays as it was: what was counted onto it meanwhile was not known when its holder looked.
        """
        since = self._monotonic()
        await self._guarded(self._table.renew(self._row.id, self._row.token, progress=progress))
        self._until = since + self._lease
        return self.left()

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """What goes on inside is not cancelled when the worker stops: it must end by itself, and soon."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def lose(self) -> None:
        """Nothing may be written any more."""
        self._lost = True

    async def _guarded(self, write: Coroutine[object, object, Row]) -> Row:
        if self._lost:
            write.close()
            raise LeaseLost
        try:
            return await write
        except LeaseLost:
            self._lost = True
            raise
