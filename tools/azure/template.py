"""Takes workbook and alert queries, gives the ARM template that deploys both.

Log alerts count exactly and know of roles, instances and models; each row that they find is an alert of its own. Metric
alerts are sooner and cheaper; they see what is sent as a value, and models only where the resource keeps dimensions.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tools.azure.files import query
from tools.azure.workbook import workbook

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_RESOURCE = "[parameters('applicationInsightsId')]"
_HERE = "{application-insights}"  # stands in the workbook for the resource to which it belongs


class LogAlert(NamedTuple):
    """An alert on ``queries/alerts/NAME.kql``. Without a ``measure`` its rows are counted; ``by`` are columns of it."""

    name: str
    title: str
    description: str
    severity: int
    window: str
    by: dict[str, str | list[str]]
    measure: str | None = None
    threshold: str | int = 0
    looks_back: str | None = None


class MetricAlert(NamedTuple):
    """An alert on the mean of a metric, over its ``threshold`` for a quarter of an hour."""

    name: str
    title: str
    description: str
    metric: str
    threshold: str


_ALL = ["*"]
_ROLES = "[parameters('roleNames')]"
_LOG_ALERTS = [
    LogAlert(
        "silent",
        "no row for 10 minutes",
        "A role instance that was sending sends no more. Is its bridge running (status page, docker ps, kubectl get pods)"
        " and can it reach Azure? What it missed is sent when it is back. Dimension end: 'in order' where it was stopped.",
        1,
        "PT10M",
        {"cloud_RoleName": _ROLES, "cloud_RoleInstance": _ALL, "end": "[parameters('silentEnds')]"},
        looks_back="[parameters('silentRemembered')]",
    ),
    LogAlert(
        "failures",
        "requests fail",
        "The share of requests that failed is too high. The workbook shows the reasons; Triton's log has each of them.",
        2,
        "PT15M",
        {"cloud_RoleName": _ROLES, "model": _ALL},
        "percent",
        "[parameters('failurePercent')]",
    ),
    LogAlert(
        "queue",
        "requests wait",
        "Requests of a model wait too long for an execution. More instances, larger batches or more machines are needed.",
        2,
        "PT15M",
        {"cloud_RoleName": _ROLES, "model": _ALL},
        "milliseconds",
        "[parameters('queueMilliseconds')]",
    ),
    LogAlert(
        "lost",
        "the bridge loses points",
        "Points will not arrive: rejected by the service, expired, or left out. The bridge's status page and log say which"
        " ones and why. Needs triton_bridge_points_total in the selection, with mode increase.",
        2,
        "PT15M",
        {"cloud_RoleName": _ROLES, "cloud_RoleInstance": _ALL, "outcome": _ALL},
        "points",
    ),
]
_METRIC_ALERTS = [
    MetricAlert(
        "load",
        "load ratio",
        "Requests take many times as long as computing them: the server is full. Idle models count as 0 in the mean.",
        "nv_inference_load_ratio",
        "[parameters('loadRatio')]",
    ),
    MetricAlert(
        "pending",
        "requests pile up",
        "Many requests stand in a queue. Needs nv_inference_pending_request_count in the selection.",
        "nv_inference_pending_request_count",
        "[parameters('pendingRequests')]",
    ),
]
_PARAMETERS: dict[str, dict[str, Any]] = {
    "applicationInsightsId": {
        "type": "string",
        "minLength": 1,
        "metadata": {"description": "Resource id of the Application Insights that the bridge sends to."},
    },
    "location": {
        "type": "string",
        "defaultValue": "[resourceGroup().location]",
        "metadata": {"description": "Region of workbook and log alerts: that of the Application Insights resource."},
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
        "defaultValue": _ALL,
        "metadata": {"description": "Cloud role names (OTEL_SERVICE_NAME) that log alerts watch."},
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
        "allowedValues": ["PT1H", "PT2H", "PT3H", "PT4H", "PT5H", "PT6H", "P1D", "P2D"],
        "metadata": {"description": "How long a silent instance is an alert; after that it is forgotten."},
    },
    "failurePercent": {
        "type": "int",
        "defaultValue": 5,
        "metadata": {"description": "Failed requests of a model, in percent, above which it is an alert."},
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
            "description": "Metric alerts for each model. Needs alerting on custom metric dimensions, which is switched"
            " on in the portal: Usage and estimated costs, Custom metrics."
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
            "models": [{"name": "model", "operator": "Include", "values": _ALL}],
        },
        "resources": [_workbook(), *map(_log_alert, _LOG_ALERTS), *map(_metric_alert, _METRIC_ALERTS)],
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
            "sourceId": _RESOURCE,
            "serializedData": f"[replace(variables('workbook'), '{_HERE}', parameters('applicationInsightsId'))]",
        },
    }


def _log_alert(alert: LogAlert) -> dict[str, Any]:
    criterion = {
        "query": query(f"alerts/{alert.name}"),
        "timeAggregation": "Maximum" if alert.measure else "Count",
        **({"metricMeasureColumn": alert.measure} if alert.measure else {}),
        "operator": "GreaterThan",
        "threshold": alert.threshold,
        "dimensions": [{"name": name, "operator": "Include", "values": values} for name, values in alert.by.items()],
        "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
    }
    group = "parameters('actionGroupId')"
    return {
        "type": "Microsoft.Insights/scheduledQueryRules",
        "apiVersion": "2023-12-01",
        "name": f"[concat(parameters('name'), '-{alert.name}')]",
        "location": "[parameters('location')]",
        "kind": "LogAlert",
        "properties": {
            "displayName": f"[concat(parameters('name'), ': {alert.title}')]",
            "description": alert.description,
            "severity": alert.severity,
            "enabled": True,
            "scopes": [_RESOURCE],
            "evaluationFrequency": "PT5M",
            "windowSize": alert.window,
            **({"overrideQueryTimeRange": alert.looks_back} if alert.looks_back else {}),
            "criteria": {"allOf": [criterion]},
            "autoMitigate": True,
            "actions": {"actionGroups": f"[if(empty({group}), createArray(), createArray({group}))]"},
        },
    }


def _metric_alert(alert: MetricAlert) -> dict[str, Any]:
    criterion = {
        "criterionType": "StaticThresholdCriterion",
        "name": alert.name,
        "metricNamespace": "azure.applicationinsights",
        "metricName": alert.metric,
        "timeAggregation": "Average",
        "operator": "GreaterThan",
        "threshold": alert.threshold,
        "dimensions": "[if(parameters('splitByModel'), variables('models'), createArray())]",
        "skipMetricValidation": True,  # the first row may come later than this template
    }
    group = "parameters('actionGroupId')"
    return {
        "type": "Microsoft.Insights/metricAlerts",
        "apiVersion": "2018-03-01",
        "name": f"[concat(parameters('name'), '-{alert.name}')]",
        "location": "global",
        "properties": {
            "description": f"{alert.title[0].upper()}{alert.title[1:]}. {alert.description}",
            "severity": 2,
            "enabled": True,
            "scopes": [_RESOURCE],
            "targetResourceType": "microsoft.insights/components",
            "evaluationFrequency": "PT5M",
            "windowSize": "PT15M",
            "criteria": {
                "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                "allOf": [criterion],
            },
            "autoMitigate": True,
            "actions": f"[if(empty({group}), createArray(), createArray(createObject('actionGroupId', {group})))]",
        },
    }
