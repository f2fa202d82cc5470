"""Progress bars that wake nothing up."""

from __future__ import annotations

from tqdm import tqdm


def without_monitor() -> None:
    """Start no thread for tqdm's bars. By default, the first bar starts one.

    It wakes up every ten seconds, to redraw bars that nobody advances, also beside a timed answer.
    Call this before the first bar, shown or not.
    """
    tqdm.monitor_interval = 0
