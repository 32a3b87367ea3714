"""Serve the built site on this machine: `serve.py [PORT]`. Any static server would do."""

import errno
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"


class QuietHandler(SimpleHTTPRequestHandler):
    """Files as they are; only what went wrong is logged."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing about requests that succeeded."""
        if isinstance(code, int) and code >= 400:
            super().log_request(code, size)


def main() -> int:
    """Serve until interrupted."""
    text = sys.argv[1] if len(sys.argv) > 1 else "8000"
    if not text.isdigit() or not 0 < int(text) < 65536:
        print(f"serve: PORT={text} is no port; give a number from 1 to 65535.", file=sys.stderr)
        return 2
    if not (SITE / "index.html").exists():
        print("serve: there is no site yet; run `make book` first.", file=sys.stderr)
        return 1
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(text)), partial(QuietHandler, directory=str(SITE)))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "is in use" if error.errno == errno.EADDRINUSE else "may not be opened"
            print(
                f"serve: port {text} {why}; choose another: make serve PORT={int(text) % 65535 + 1}",
                file=sys.stderr,
            )
            return 1
        raise
    print(f"The book is at http://localhost:{text} (stop with Ctrl-C)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
