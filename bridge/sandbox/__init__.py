"""Takes telemetry as Azure Application Insights does, gives the customMetrics rows that it would become.

Not a mock: the service's rules on a port of this machine, for the demo, for ``BRIDGE_SANDBOX=1`` and for tests.

    with Sandbox() as sandbox:
        ...  # post to sandbox.connection_string
        sandbox.rows()

From the top down: local (Sandbox, serve) | server (connections) | wire, views | endpoint | replies, script |
rules, parsing, limits | refusals.
"""

from bridge.sandbox.endpoint import Post
from bridge.sandbox.limits import Limits
from bridge.sandbox.local import Sandbox, serve

__all__ = ["Limits", "Post", "Sandbox", "serve"]
