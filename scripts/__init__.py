"""The commands. Ctrl-C while `python -m scripts.NAME` loads ends it without a traceback."""

import signal
import sys

# Python gives the program this name while it looks for the module of `-m`. In a Snakefile or a test
# that imports this package it has another name.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
