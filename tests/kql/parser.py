"""Takes KQL, gives what Microsoft's own parser says of it: what is wrong, and the columns of its answer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from examples.stack import ROOT, tool

# The columns of the tables as Application Insights shows them to a query of the resource, and a workspace of AppMetrics.
_CONTEXT = """
operation_Name operation_Id operation_ParentId operation_SyntheticSource session_Id user_Id user_AuthenticatedId
user_AccountId application_Version client_Type client_Model client_OS client_IP client_City client_StateOrProvince
client_CountryOrRegion client_Browser cloud_RoleName cloud_RoleInstance appId appName iKey sdkVersion itemId itemType
_ResourceId
"""
TABLES = {
    "customMetrics": (
        "(timestamp: datetime, name: string, value: real, valueCount: int, valueSum: real, valueMin: real,"
        " valueMax: real, valueStdDev: real, customDimensions: dynamic, itemCount: int, _BilledSize: real, "
        + ", ".join(f"{name}: string" for name in _CONTEXT.split())
        + ")"
    ),
    "AppMetrics": (
        "(TimeGenerated: datetime, Name: string, ItemCount: int, Sum: real, Min: real, Max: real, Properties: dynamic,"
        " AppRoleName: string, AppRoleInstance: string, SDKVersion: string, _BilledSize: real, _ResourceId: string)"
    ),
}


@dataclass(frozen=True)
class Analysis:
    """``errors`` are sentences with the line; ``columns`` are names with types."""

    errors: list[str]
    columns: dict[str, str]


def analyse(queries: Sequence[str]) -> list[Analysis]:
    """One analysis for each query, in their order."""
    done = subprocess.run(
        [tool("node.sh") / "node", ROOT / "tools" / "kusto.js", tool("kusto.sh")],
        input=json.dumps({"tables": TABLES, "queries": list(queries)}),
        check=True,
        capture_output=True,
        text=True,
    )
    return [Analysis(**found) for found in json.loads(done.stdout)]
