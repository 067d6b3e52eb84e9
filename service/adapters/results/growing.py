"""A file that grows piece by piece, and at its end is there whole; for use in threads, one call at a time."""

import os
import threading
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from service.adapters.results.whole_file import place_new, remove_unfinished, settle, stands, unfinished, write


class Growing:
    """Every method raises OSError. Until `place`, nothing of it is to be seen under its name.

    A call that its caller was cancelled in still goes on in its thread: closing waits for that.
    """

    def __init__(self, folder: int, part: str, file: int, name: str, opened: ExitStack) -> None:
        self._folder = folder
        self._part = part
        self._file = file
        self._name = name
        self._opened = opened
        self._turn = threading.Lock()

    @classmethod
    def begun(cls, opened: AbstractContextManager[int], name: str) -> Self:
        """An empty one in the folder that `opened` opens, and that `close` closes."""
        with ExitStack() as stack:
            folder = stack.enter_context(opened)
            remove_unfinished(folder)
            part, file = stack.enter_context(unfinished(folder))
            return cls(folder, part, file, name, stack.pop_all())

    def write(self, piece: bytes) -> None:
        with self._turn:
            write(self._file, piece)

    def place(self) -> bool:
        """On the disk under its name; False if another was first."""
        with self._turn:
            os.fsync(self._file)
            first = not stands(self._folder, self._name) and place_new(self._folder, self._part, self._name)
            settle(self._folder)
            return first

    def close(self) -> None:
        """What was not placed is gone."""
        with self._turn:
            self._opened.close()
