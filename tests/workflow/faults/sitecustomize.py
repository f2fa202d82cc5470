"""Fault injection for workflow tests: an audit hook that strikes when the Nth cell is linked.

EPYC_TEST_FAULT is `exit:N`, `kill:N`, `hang:N`, `pause:N`, `full:N` or `crash:N`: at the Nth link
the process exits with 1, is killed, sleeps (pause: for two seconds), sees a full disk, or loses its
llama-server. Only processes started as `python -m scripts.infer` are struck.
"""

import errno
import os
import signal
import sys
import time

_kind, _, _at = os.environ.get("EPYC_TEST_FAULT", "").partition(":")
_seen = 0


def _strike(event, arguments):
    global _seen
    if event != "os.link" or "scripts.infer" not in sys.orig_argv:
        return
    _seen += 1
    if _seen != int(_at):
        return
    if _kind == "exit":
        os._exit(1)
    if _kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if _kind == "hang":
        time.sleep(600)
    if _kind == "pause":
        time.sleep(2)
    if _kind == "crash":
        import psutil

        for child in psutil.Process().children():
            child.kill()
    if _kind == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[1]))


if _kind:
    sys.addaudithook(_strike)
