"""A made-up llama-server: `fake_llama_server.py SCENARIO.json --model … --port …`.

The scenario: `lines` of /completion's stream (each the characters of its bytes; `{pid}` is this
process), sent `pause_s` apart; `replies` of other paths; `drip`, `drip_header`: the path whose
reply comes byte by byte; `sick`: it never gets ready; `port`: where it listens whatever the command
line says; `cut`: the connection breaks off after the lines.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HELP = "--model FNAME  x\n--port PORT  x\n--host HOST  x\n--chat-template-file FILE  x\n"
DRIP_S = 0.02


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scenario: dict[str, Any] = {}  # noqa: RUF012

    def log_message(self, *_: object) -> None: ...

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _whole(self, body: bytes, status: int = 200) -> None:
        self._send(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)

    def _drip(self) -> None:
        self._send(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            self._send(b"1\r\nx\r\n")
            time.sleep(DRIP_S)

    def _drip_header(self) -> None:
        for byte in b"HTTP/1.1 200 x\r\nX: " + b"y" * 60_000:
            self._send(bytes([byte]))
            time.sleep(DRIP_S)

    def _stream(self) -> None:
        self._send(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in self.scenario["lines"]:
            data = line.replace("{pid}", str(os.getpid())).encode("latin-1") + b"\n\n"
            self._send(b"%x\r\n%s\r\n" % (len(data), data))
            time.sleep(self.scenario.get("pause_s", 0.002))
        if self.scenario.get("cut"):
            self.close_connection = True
        else:
            self._send(b"0\r\n\r\n")

    def _reply(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        ready = {
            "/health": {},
            "/apply-template": {"prompt": "p"},
            "/tokenize": {"tokens": [1, 2, 3]},
        }
        if self.path == self.scenario.get("drip"):
            self._drip()
        elif self.path == self.scenario.get("drip_header"):
            self._drip_header()
        elif self.scenario.get("sick"):
            self._whole(b"{}", 503)
        elif self.path in self.scenario.get("replies", {}):
            self._whole(self.scenario["replies"][self.path].encode("latin-1"))
        elif self.path == "/completion":
            self._stream()
        else:
            self._whole(json.dumps(ready[self.path]).encode())

    do_GET = do_POST = _reply


def main() -> None:
    if "--help" in sys.argv:
        print(HELP)
        return
    Handler.scenario = json.loads(Path(sys.argv[1]).read_text())
    port = Handler.scenario.get("port", int(sys.argv[sys.argv.index("--port") + 1]))
    print("fake llama-server", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
