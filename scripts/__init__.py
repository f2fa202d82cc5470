"""The commands: `python -m scripts.NAME`, and `python -m scripts` for the list of them."""

import signal
import sys


def end_at_interrupt() -> None:
    """From now on Ctrl-C ends this process at once, without a traceback: nothing runs yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


# Loading the modules of a program takes a second. Python sets argv[0] to "-m" while it looks for
# the program; what imports this package for another purpose keeps its own way.
if sys.argv[0] == "-m":
    end_at_interrupt()
