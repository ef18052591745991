"""Takes the queries of the alerts, gives the resources that Azure is to make of them.

Log alerts count exactly and know of roles, instances and models; each row that they find is an alert of its own. Metric
alerts are sooner and cheaper; they see what is sent as a value, and models only where the resource keeps dimensions.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tools.azure.files import query

RESOURCE = "[parameters('applicationInsightsId')]"
_PLACE = re.compile(r"\{(\w+)\}")  # stands in the query of an alert for a parameter of the template


class LogAlert(NamedTuple):
    """An alert on ``queries/alerts/NAME.kql``. Without a ``measure`` its rows are counted; ``by`` are columns of it.

    ``looks_back`` is for a query that looks further back than a quarter of an hour.
    """

    name: str
    title: str
    description: str
    severity: int
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


ALL = ["*"]
_ROLES = "[parameters('roleNames')]"
_INCREASE = "in the selection, with mode increase: for a plain name, an accumulation, it is wrong."
LOG_ALERTS = [
    LogAlert(
        "silent",
        "no rows come",
        "A role instance that was sending sends no more. Is its bridge running (status page, docker ps, kubectl get pods)"
        " and can it reach Azure? What it missed is sent when it is back. Dimension end: 'in order' where it was stopped.",
        1,
        {"cloud_RoleName": _ROLES, "cloud_RoleInstance": ALL, "end": "[parameters('silentEnds')]"},
        looks_back="[parameters('silentRemembered')]",
    ),
    LogAlert(
        "failures",
        "requests fail",
        "The share of requests that failed is too high. The workbook shows the reasons; Triton's log has each of them."
        f" Needs nv_inference_request_success and nv_inference_request_failure {_INCREASE}",
        2,
        {"cloud_RoleName": _ROLES, "model": ALL},
        "percent",
        "[parameters('failurePercent')]",
    ),
    LogAlert(
        "queue",
        "requests wait",
        "Requests of a model wait too long for an execution. More instances, larger batches or more machines are needed."
        f" Needs nv_inference_request_success and nv_inference_queue_duration_us {_INCREASE}",
        2,
        {"cloud_RoleName": _ROLES, "model": ALL},
        "milliseconds",
        "[parameters('queueMilliseconds')]",
    ),
    LogAlert(
        "lost",
        "the bridge loses points",
        "Points will not arrive: rejected by the service, expired, or left out; or whole cycles expired unread. The bridge's"
        " status page and log say which ones and why. Needs triton_bridge_points_total and triton_bridge_cycles_total"
        f" {_INCREASE}",
        2,
        {"cloud_RoleName": _ROLES, "cloud_RoleInstance": ALL, "what": ALL, "outcome": ALL},
        "lost",
    ),
]
METRIC_ALERTS = [
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


def placed() -> dict[str, str]:
    """The queries in which parameters of the template stand, by the names of their alerts: variables of it."""
    texts = {alert.name: query(f"alerts/{alert.name}") for alert in LOG_ALERTS}
    return {name: text for name, text in texts.items() if _PLACE.search(text)}


def _asked(name: str) -> str:
    """The query of an alert; Azure puts the parameters into it when it deploys."""
    text = query(f"alerts/{name}")
    if name not in placed():
        return text
    expression = f"variables('{name}')"
    for parameter in _PLACE.findall(text):
        expression = f"replace({expression}, '{{{parameter}}}', string(parameters('{parameter}')))"
    return f"[{expression}]"


def log_alert(alert: LogAlert) -> dict[str, Any]:
    """One scheduledQueryRule."""
    criterion = {
        "query": _asked(alert.name),
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
            "scopes": [RESOURCE],
            "evaluationFrequency": "PT5M",
            "windowSize": "PT15M",
            **({"overrideQueryTimeRange": alert.looks_back} if alert.looks_back else {}),
            "criteria": {"allOf": [criterion]},
            "autoMitigate": True,
            "actions": {"actionGroups": f"[if(empty({group}), createArray(), createArray({group}))]"},
        },
    }


def metric_alert(alert: MetricAlert) -> dict[str, Any]:
    """One metricAlert."""
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
            "scopes": [RESOURCE],
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
