"""The workflow's scripts. `python -m scripts.NAME` loads modules for a second: Ctrl-C then ends it without a traceback."""

import signal
import sys

# So Python names the program while it looks for the module of `-m`; a Snakefile or a test that
# imports us has another name.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
