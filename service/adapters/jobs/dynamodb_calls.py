"""Calls to the one table: its refusals in our words, and a look at its clock with each answer."""

import math
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import structlog

from service.adapters.aws import Aws, AwsError
from service.domain import happened
from service.engine.errors import StoreTrouble

CONDITION: Final = "ConditionalCheckFailedException"
CANCELED: Final = "TransactionCanceledException"
CONFLICTS: Final = frozenset({"TransactionConflictException", "TransactionInProgressException"})
"""Somebody else's transaction has the item at this moment: to a write as good as a condition that does not hold."""
READS: Final = frozenset({"batch_get_item", "describe_table", "get_item", "query"})
"""What has no condition that could fail, whatever is answered to it."""

APART_AT_MOST: Final = 5.0
"""Seconds that our clock and DynamoDB's may differ."""

SILENCE: Final = 500
"""From this status on nobody knows whether the call was carried out; none at all counts as this."""
NOT_IMPLEMENTED: Final = 501

Item = Mapping[str, Mapping[str, Any]]
"""An item as DynamoDB spells it: the type beside each value."""


class ConditionFailed(Exception):
    """The condition of a write did not hold; `item` is what stands there, None if nothing does or it is not told."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition did not hold")
        self.item = item


class Canceled(Exception):
    """A transaction was not carried out; of each of its writes why (`None`: not because of it), and what stands."""

    def __init__(self, reasons: Sequence[tuple[str, Item | None]]) -> None:
        super().__init__("the transaction was canceled")
        self.reasons = reasons


class OutcomeUnclear(StoreTrouble):
    """No answer came, or none that tells: the write may have happened, or may yet be refused for another's sake."""


class NotTaken(StoreTrouble):
    """The call itself was refused: it is not allowed, or the engine does not have it. Nothing was written."""


class Calls:
    """The table's operations, each `table_operation(Key=…)`-like with the table's name filled in.

    `clock` gives epoch seconds. More than `apart` seconds off DynamoDB's own clock is told once, and again when over.
    """

    def __init__(self, aws: Aws, table: str, *, clock: Callable[[], float], apart: float = APART_AT_MOST) -> None:
        self._aws = aws
        self.table = table
        self._clock = clock
        self._apart = apart
        self._dated = ""
        self._off = 0.0
        self._log = structlog.get_logger()

    @property
    def clock_off(self) -> float:
        """Seconds that our clock is ahead of DynamoDB's, where that is too many; otherwise 0."""
        return self._off

    def insist_on_time(self) -> None:
        """Raises StoreTrouble while our clock and DynamoDB's differ too much, as of the last answer."""
        if self._off:
            off = round(self._off, 1)
            raise StoreTrouble(f"our clock is {off} s off DynamoDB's: nothing is claimed or asked until it is right")

    async def on_table(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """A call about the table by name. Raises ConditionFailed, StoreTrouble."""
        return await self.anywhere(operation, TableName=self.table, **parameters)

    async def anywhere(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """A call whose parameters name the table themselves. Raises ConditionFailed, Canceled, StoreTrouble."""
        began = self._clock()
        try:
            answer = await self._aws.call("dynamodb", operation, **parameters)
        except AwsError as error:
            raise self._translated(operation, error) from None
        self._compare(began, answer)
        return answer

    def _translated(self, operation: str, error: AwsError) -> Exception:
        if (error.code == CONDITION or error.code in CONFLICTS) and operation not in READS:
            return ConditionFailed(error.answer.get("Item"))
        reasons = error.answer.get("CancellationReasons")
        if error.code == CANCELED and reasons:
            return Canceled([(str(each.get("Code", "None")), each.get("Item")) for each in reasons])
        return self.trouble(operation, error)

    def trouble(self, operation: str, error: AwsError) -> StoreTrouble:
        """What went wrong, in one sentence that names the table and never what was to be written."""
        name = "".join(word.capitalize() for word in operation.split("_"))
        if error.denied:
            return NotTaken(f"AWS does not allow {name} on the job table {self.table} ({error.code})")
        if error.throttled:
            return StoreTrouble(f"the job table {self.table} is asked too much ({error.code})")
        if error.code == "ResourceNotFoundException":
            return StoreTrouble(f"the job table {self.table}, or an index of it, is not there")
        told = f"the job table {self.table} did not take {name} ({error.code})"
        status = error.status or SILENCE
        return OutcomeUnclear(told) if status >= SILENCE and status != NOT_IMPLEMENTED else NotTaken(told)

    def _compare(self, began: float, answer: Mapping[str, Any]) -> None:
        dated = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        if not dated or dated == self._dated or math.isinf(self._apart):
            return
        self._dated = dated
        try:
            theirs = parsedate_to_datetime(dated).timestamp()
        except ValueError:
            return
        self._note(apart(began, self._clock(), theirs), self._apart)

    def _note(self, off: float, allowed: float) -> None:
        wrong = abs(off) > allowed
        if wrong and not self._off:
            self._log.error(happened.CLOCK_DRIFTED, seconds=round(off, 1), table=self.table)
        elif self._off and not wrong:
            self._log.info(happened.CLOCK_CORRECTED, table=self.table)
        self._off = off if wrong else 0.0


def apart(began: float, ended: float, theirs: float) -> float:
    """Seconds that our clock is surely ahead (behind: negative) of one that said `theirs`, in whole seconds.

    It said so at some moment between `began` and `ended` by ours; what that leaves open is not counted.
    """
    if theirs + 1.0 < began:
        return began - theirs - 1.0
    return min(0.0, ended - theirs)
