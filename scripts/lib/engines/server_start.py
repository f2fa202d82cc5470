"""Starting a llama-server on a free port, again where another process took the port in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.lib.engines import EngineFailure, LoadSettings
from scripts.lib.engines.server_flags import ServerFlags, server_argv
from scripts.lib.engines.server_process import ServerProcess, free_port

# What the server says of a port that is taken; which of the two lines the log still gets depends on its writer thread.
PORT_TAKEN, PORT_ATTEMPTS = ("couldn't bind", "exiting due to HTTP server error"), 3


def start_server(
    flags: ServerFlags, settings: LoadSettings, log: Path, ready_timeout_s: float, extra: Sequence[str] = ()
) -> ServerProcess:
    """A ready server of those settings. Raises EngineFailure with its last lines, or naming the ports that were taken."""
    ports: list[int] = []
    while True:
        ports.append(free_port())
        argv = [*server_argv(flags, settings, ports[-1]), *extra]
        try:
            return ServerProcess(argv, ports[-1], log, ready_timeout_s)
        except EngineFailure as failure:
            # Between choosing a free port and the server's bind another process may take it.
            if not any(word in str(failure) for word in PORT_TAKEN):
                raise
            if len(ports) == PORT_ATTEMPTS:
                taken = ", ".join(map(str, ports))
                raise EngineFailure(f"llama-server could not listen on port {taken}: {failure}") from failure
