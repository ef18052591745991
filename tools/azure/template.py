"""Takes workbook and alerts, gives the ARM template that deploys both."""

from __future__ import annotations

import json
from typing import Any

from tools.azure.alerts import ALL, LOG_ALERTS, METRIC_ALERTS, RESOURCE, log_alert, metric_alert, placed
from tools.azure.workbook import workbook

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_HERE = "{application-insights}"  # stands in the workbook for the resource to which it belongs

_PARAMETERS: dict[str, dict[str, Any]] = {
    "applicationInsightsId": {
        "type": "string",
        "minLength": 1,
        "metadata": {"description": "Resource id of the Application Insights that the bridge sends to."},
    },
    "location": {
        "type": "string",
        "defaultValue": "[resourceGroup().location]",
        "metadata": {
            "description": "Region of workbook and log alerts; give that of the Application Insights resource."
        },
    },
    "name": {
        "type": "string",
        "defaultValue": "triton",
        "metadata": {"description": "What the names of the alerts begin with."},
    },
    "actionGroupId": {
        "type": "string",
        "defaultValue": "",
        "metadata": {"description": "Resource id of the action group to notify; empty: alerts are only shown."},
    },
    "roleNames": {
        "type": "array",
        "defaultValue": ALL,
        "metadata": {"description": "Cloud role names (OTEL_SERVICE_NAME) that log alerts watch."},
    },
    "silentMinutes": {
        "type": "int",
        "defaultValue": 10,
        "minValue": 5,
        "maxValue": 150,
        "metadata": {
            "description": "Age in minutes of an instance's newest row above which it is an alert. Twice BRIDGE_INTERVAL,"
            " and 5 minutes for Azure, is the least that makes sense."
        },
    },
    "silentEnds": {
        "type": "array",
        "defaultValue": ["cut off", "in order"],
        "metadata": {
            "description": "Which silence is an alert. Where pods come and go, ['cut off'] leaves out the bridges that"
            " were stopped in order."
        },
    },
    "silentRemembered": {
        "type": "string",
        "defaultValue": "P1D",
        "allowedValues": ["PT3H", "PT4H", "PT5H", "PT6H", "P1D", "P2D"],
        "metadata": {"description": "How long a silent instance is an alert; after that it is forgotten."},
    },
    "failurePercent": {
        "type": "int",
        "defaultValue": 5,
        "metadata": {"description": "Failed requests of a model, in percent, above which it is an alert."},
    },
    "failureRequests": {
        "type": "int",
        "defaultValue": 20,
        "minValue": 1,
        "metadata": {"description": "Requests of a model, in 15 minutes, below which its failures are no alert."},
    },
    "queueMilliseconds": {
        "type": "int",
        "defaultValue": 100,
        "metadata": {"description": "Mean time in the queue, in milliseconds a request, above which it is an alert."},
    },
    "loadRatio": {
        "type": "int",
        "defaultValue": 5,
        "metadata": {"description": "Mean load ratio above which it is an alert; 1: no request waits."},
    },
    "pendingRequests": {
        "type": "int",
        "defaultValue": 100,
        "metadata": {"description": "Mean number of requests in a queue above which it is an alert."},
    },
    "splitByModel": {
        "type": "bool",
        "defaultValue": False,
        "metadata": {
            "description": "Metric alerts for each model. Needs, in the portal: Usage and estimated costs, Custom Metrics,"
            " Send custom metrics to Azure Metric Store: With dimensions (once: Enable alerting on custom metric dimensions)."
        },
    },
}


def template() -> dict[str, Any]:
    """The document. What it deploys has the same names each time: a second deployment changes the first."""
    document = workbook() | {"fallbackResourceIds": [_HERE]}
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": _PARAMETERS,
        "variables": {
            "workbook": json.dumps(document, separators=(",", ":")),
            "models": [{"name": "model", "operator": "Include", "values": ALL}],
            **placed(),
        },
        "resources": [_workbook(), *map(log_alert, LOG_ALERTS), *map(metric_alert, METRIC_ALERTS)],
        "outputs": {"workbookId": {"type": "string", "value": _id_of_workbook()}},
    }


_WORKBOOK_NAME = "guid(parameters('applicationInsightsId'), 'triton-bridge')"


def _id_of_workbook() -> str:
    return f"[resourceId('Microsoft.Insights/workbooks', {_WORKBOOK_NAME})]"


def _workbook() -> dict[str, Any]:
    return {
        "type": "Microsoft.Insights/workbooks",
        "apiVersion": "2023-06-01",
        "name": f"[{_WORKBOOK_NAME}]",
        "location": "[parameters('location')]",
        "kind": "shared",
        "properties": {
            "displayName": "Triton",
            "category": "workbook",
            "version": "Notebook/1.0",
            "sourceId": RESOURCE,
            "serializedData": f"[replace(variables('workbook'), '{_HERE}', parameters('applicationInsightsId'))]",
        },
    }
