"""A command of ours that lives no longer than whoever started it: however that one ends, nothing is left behind.

`python -m service.cli.demonstration.leash COMMAND…`, with a pipe as standard input that only the starter holds.
"""

import os
import signal
import sys
import threading
import time
from typing import Final

from service.cli.app import run

LINGER: Final = 10.0
"""Seconds to end in good order once the starter is gone."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    threading.Thread(target=_follow, name="leash", daemon=True).start()
    sys.exit(run(sys.argv[1:]))


def _follow() -> None:
    # Not by sys.stdin: the interpreter could not close it while we read.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LINGER)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
