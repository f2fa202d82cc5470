"""For all tests: only this machine can be reached, no API key is used, and Ctrl-C works."""

from __future__ import annotations

import compileall
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests import golden
from tests.factories.checkout import ROOT
from tests.factories.once import made_once

# A shell starts a job in the background with SIGINT ignored, and every process below it would
# ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests start hundreds of processes of this project's scripts. Each takes half as long where the
# modules are compiled already, here and in the copies of this checkout.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
compileall.compile_dir(ROOT / "scripts", quiet=2)

_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines; take the vendor's key out of the environment."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(
            _LOOPBACK
        ):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up project (tests/factories/sample_project.py) with its pages. Do not change it."""
    return made_once(tmp_path_factory, "sample", golden.build)
