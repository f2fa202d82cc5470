"""Starts a llama-server with a shard's settings, and with a fixed date in its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.lib.base.safe_files import write_atomic
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.engines.server_flags import ServerFlags, server_argv
from scripts.lib.engines.server_process import ServerProcess
from scripts.lib.weights.chat_template import date_macro
from scripts.lib.weights.gguf_header import read_chat_template

TEMPLATE_FLAG = "--chat-template-file"


def _template_flags(flags: ServerFlags, weights: Path, file: Path) -> list[str]:
    """The flags that give the chat template a fixed date, if it prints one.

    The changed template is written to `file`.
    """
    template = read_chat_template(weights)
    macro = date_macro(template)
    if not macro:
        return []
    flags.require(TEMPLATE_FLAG, "the chat template would print today's date")
    write_atomic(file, macro + template)
    return [TEMPLATE_FLAG, str(file)]


def start_server(
    flags: ServerFlags,
    settings: LoadSettings,
    log: Path,
    ready_timeout_s: float,
    extra: Sequence[str] = (),
) -> ServerProcess:
    """A ready server with these settings. Raises EngineFailure with its last lines."""
    argv = server_argv(flags, settings) + _template_flags(
        flags, settings.weights, log.with_suffix(".jinja")
    )
    return ServerProcess([*argv, *extra], log, ready_timeout_s)
