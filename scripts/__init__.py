"""The commands: `python -m scripts.NAME`, and `python -m scripts` for the list of them."""

import signal
import sys


def end_at_interrupt() -> None:
    """Let Ctrl-C end this process at once and without a traceback, while nothing runs yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


# Loading a command's modules takes a second. Python sets argv[0] to "-m" while it looks for the
# command. A program that imports this package for another purpose keeps its own handling of Ctrl-C.
if sys.argv[0] == "-m":
    end_at_interrupt()
