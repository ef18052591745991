"""Takes a command line, gives an exit code: 0 done, 1 it ran and failed, 2 wrong usage or configuration.

Commands and exit codes; nothing else. What is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import logging
import os
import sys

from bridge.cli import looking, posting  # noqa: F401 — each brings its commands
from bridge.cli.options import app, tell
from bridge.errors import BridgeError, ConfigurationError

__all__ = ["app", "main"]

log = logging.getLogger(__name__)


def main() -> None:
    """Run a command and exit with its code. Errors are one line a finding on stderr, never a traceback."""
    try:
        try:
            app(prog_name="triton-bridge")
        finally:
            sys.stdout.flush()
    except ConfigurationError as error:
        code = 2
        tell(error.findings)
    except BridgeError as error:
        code = 1
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has seen enough
        code = 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        code = 1
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 — the last line of defence: a person is to see a line, not a stack
        code = 1
        # By the log, which masks what may stand in it.
        log.critical("%s: %s — a fault of the bridge; please report it", type(error).__name__, error)
    sys.exit(code)
