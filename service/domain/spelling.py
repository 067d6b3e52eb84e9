"""Names that were probably meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a slip of; None if none is near."""
    by_fold = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold()[:200], by_fold, n=1, cutoff=0.7)
    return by_fold[near[0]] if near else None


def shown(text: str, longest: int = 60) -> str:
    """Foreign text fit for a message: quoted, one line, cut."""
    line = "".join(each if each.isprintable() else "�" for each in text)
    return f"`{line if len(line) <= longest else line[: longest - 1] + '…'}`"
