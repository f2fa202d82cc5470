"""A real browser for tests: headless Chromium, driven over a pipe by the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-pipe",
        "--hide-scrollbars",
        "--window-size=1400,1000",
    ),
)
TIMEOUT_S = 60.0


class BrowserError(AssertionError):
    """The browser is not there, does not answer, or a script failed in the page."""


def find_browser() -> str:
    """The browser's path. Raises BrowserError that says how to install one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise BrowserError(
            "no Chromium is installed, and the report is tested in a real browser: "
            "apt-get install chromium"
        )
    return found


class Page:
    """One tab. `errors`: from its console and scripts; `requests`: every address it asked for."""

    def __init__(self, to_browser: int, from_browser: int):
        self._out, self._in = to_browser, from_browser
        self._last, self._buffer, self._session = 0, b"", ""
        self._held = False
        self.errors: list[str] = []
        self.requests: list[str] = []

    def attach(self) -> None:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; gives its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        whole = json.dumps(message).encode() + b"\0"
        while whole:
            whole = whole[os.write(self._out, whole) :]
        return self._until(lambda reply: reply.get("id") == self._last, method)

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BrowserError(f"the browser did not answer within {TIMEOUT_S:g} s: {what}")
            found = os.read(self._in, 1 << 20)
            if not found:
                raise BrowserError(f"the browser ended: {what}")
            self._buffer += found
        line, _, self._buffer = self._buffer.partition(b"\0")
        reply: dict[str, Any] = json.loads(line)
        self._note(reply)
        return reply

    def _until(self, wanted: Any, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            reply = self._read(deadline, what)
            if wanted(reply):
                if "error" in reply:
                    raise BrowserError(f"{what}: {reply['error']}")
                return dict(reply.get("result") or reply.get("params") or {})

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(
                str(params["exceptionDetails"].get("exception", params["exceptionDetails"]))
            )
        elif event.get("method") == "Log.entryAdded":
            self.errors.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.errors.append(f"console.{params['type']}")
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, file: Path, fragment: str = "") -> None:
        """Load a file and wait until it is loaded."""
        address = file.resolve().as_uri()
        self.send("Page.navigate", url=f"{address}#{fragment}" if fragment else address)
        self._until(lambda event: event.get("method") == "Page.loadEventFired", f"load {file}")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page. Raises BrowserError where it throws."""
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press and let go a key such as `Tab`, `Enter` or `ArrowDown`."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27}
        common = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        text = text or {"Enter": "\r", " ": " "}.get(key, "")
        self.send(
            "Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {})
        )
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """One event such as `mouseMoved`, `mousePressed` or `mouseReleased`, in pixels."""
        held = 1 if kind != "mouseReleased" and (kind == "mousePressed" or self._held) else 0
        self._held = kind == "mousePressed" or (self._held and kind == "mouseMoved")
        button = "none" if kind == "mouseMoved" and not held else "left"
        self.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held,
            clickCount=0 if kind == "mouseMoved" else 1,
        )  # fmt: skip

    def click(self, x: float, y: float) -> None:
        """Move the mouse to a place and click there."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def accessible(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader finds."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [
            (n["role"]["value"], n.get("name", {}).get("value", ""))
            for n in nodes
            if not n["ignored"] and "role" in n
        ]

    def screenshot(self, file: Path, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser() -> Iterator[Page]:
    """A page in a browser of its own with an empty profile; it ends with the block."""
    command_in, command_out = os.pipe()
    reply_in, reply_out = os.pipe()

    with tempfile.TemporaryDirectory(prefix="epyc-browser-", ignore_cleanup_errors=True) as profile:
        # The browser reads commands from descriptor 3 and answers on 4.
        wired = f'exec "$@" 3<&{command_in} 4>&{reply_out}'
        argv = [
            "bash",
            "-c",
            wired,
            "bash",
            find_browser(),
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
        ]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            argv, pass_fds=(command_in, reply_out), stdout=quiet, stderr=quiet
        )
        os.close(command_in)
        os.close(reply_out)
        page = Page(command_out, reply_in)
        try:
            page.attach()
            yield page
        finally:
            page._session = ""
            with suppress(BrowserError, OSError):
                page.send("Browser.close")
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(command_out)
            os.close(reply_in)
