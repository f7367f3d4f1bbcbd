"""A time-stamp authority as a process of its own: `openssl ts` behind HTTP. The path of the URL says how it answers.

Run as `python tsaserver.py FOLDER`, which holds what `tsa.Made.write` writes in `good` and in `expired`; the first line
that it prints is its port.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from asn1crypto import tsp
from tsa import reply

SLOW_S = 600
LOCK = threading.Lock()  # openssl keeps its serial number in a file


def stamped(folder: Path, request: bytes, *, nonce: int = 0, imprint: bytes = b"") -> bytes:
    """What the authority answers, perhaps to another request than was asked."""
    asked = tsp.TimeStampReq.load(request)
    if nonce:
        asked["nonce"] = nonce
    if imprint:
        asked["message_imprint"]["hashed_message"] = imprint
    with LOCK:
        return reply(folder, asked.dump(force=True))


class Handler(BaseHTTPRequestHandler):
    root = Path()

    def do_POST(self) -> None:
        request, good = self.rfile.read(int(self.headers["Content-Length"])), self.root / "good"
        status, headers, body = 200, {}, b""
        match self.path:
            case "/good":
                body = stamped(good, request)
            case "/expired":
                body = stamped(self.root / "expired", request)
            case "/nonce":
                body = stamped(good, request, nonce=7)
            case "/other":
                body = stamped(good, request, imprint=bytes(32))
            case "/garbage":
                body = b"<html>Welcome to the hotel's network</html>"
            case "/redirect":
                status, headers = 302, {"Location": "/good"}
            case "/slow":
                time.sleep(SLOW_S)
            case _:
                status = 500
        self.send_response(status)
        for name, value in {"Content-Type": "application/timestamp-reply", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    Handler.root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
