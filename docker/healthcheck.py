"""Takes the URL that start.py left, gives the container's health as an exit code: 0 while it answers, else 1.

In the bundle that is Triton's liveness: nothing that Prometheus or the bridge do makes it unhealthy. In the sidecar it is
the bridge's. Where there is nothing to ask, as under a command of the user's own, all is well. Standard library only.
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

import folders

# Triton answers 403 where --http-restricted-api covers its health: it lives.
_ALIVE = {200, 403}
_SECONDS = 4
_MOST = 1000  # bytes of its words


def url() -> str:
    """What to ask; empty for nothing."""
    found = (folder / "health" for folder in folders.RUNTIMES)
    return next((path.read_text() for path in found if path.exists()), "")


def ask(address: str) -> tuple[bool, str]:
    """Whether what answers there lives, and what it says. OSError, HTTPException, ValueError where nothing answers."""
    parts = urlsplit(address)
    # Not urllib, which asks the proxies of the environment.
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path)
        reply = connection.getresponse()
        said = reply.read(_MOST).decode(errors="replace").strip()
        return reply.status in _ALIVE, said or f"answers {reply.status}"
    finally:
        connection.close()


def main() -> int:
    """The exit code, and a line that ``docker inspect`` shows."""
    address = url()
    if not address:
        print("nothing to ask")
        return 0
    try:
        well, reason = ask(address)
    except (OSError, http.client.HTTPException, ValueError) as error:
        well, reason = False, str(error)
    print(f"{address}: {reason}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
