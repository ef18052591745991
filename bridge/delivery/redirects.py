"""Takes the address that was asked and a redirect's target, gives the origin to post to instead, or None. Pure.

A target gets the points, and with Entra ID a token: only Azure's own hosts may be one. The exporter's own list
(1.0.0b58) lacks the way from the global host to a regional one, which is the redirect that Azure gives.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urljoin, urlsplit

# Azure's clouds, each with its domains (connection-strings.md; the exporter's _ALLOWED_REDIRECT_DOMAIN_SUFFIXES).
# They are separate by law: what belongs to one never goes to another.
_CLOUDS = (
    (
        "services.visualstudio.com",
        "applicationinsights.azure.com",
        "applicationinsights.microsoft.com",
        "monitor.azure.com",
    ),
    ("applicationinsights.azure.us", "applicationinsights.us", "monitor.azure.us"),
    ("applicationinsights.azure.cn", "monitor.azure.cn"),
)
_is_host = re.compile(r"([a-z0-9-]+\.)*[a-z0-9-]+|[0-9a-f.]*:[0-9a-f:.]*").fullmatch


def follow(asked: str, target: str) -> str | None:
    """The origin (``https://host[:port]``) of a target that may be followed from the address that was asked.

    It may be the same host, another host of the same Azure cloud, or another loopback address; never http after https.
    """
    try:
        here, there = urlsplit(asked), urlsplit(urljoin(asked, target))
        port = there.port
    except ValueError:
        return None
    old, new = here.hostname or "", there.hostname or ""
    if there.scheme not in ("https", here.scheme) or there.scheme not in ("http", "https") or not _is_host(new):
        return None
    of_azure = there.scheme == "https" and any(_within(old, cloud) and _within(new, cloud) for cloud in _CLOUDS)
    if new != old and not of_azure and not (_is_loopback(old) and _is_loopback(new)):
        return None
    # Put together from its parts: another parser may see another host in the same text.
    return f"{there.scheme}://{f'[{new}]' if ':' in new else new}{f':{port}' if port else ''}"


def _within(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
