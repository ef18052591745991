"""Points, and with Entra ID a token, go to no host that is not Azure's own."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.delivery.redirects import follow

GLOBAL = "https://dc.services.visualstudio.com/v2.1/track"
REGIONAL = "https://westeurope-5.in.applicationinsights.azure.com/v2.1/track"


@pytest.mark.parametrize(
    ("asked", "target", "origin"),
    [
        (GLOBAL, REGIONAL, "https://westeurope-5.in.applicationinsights.azure.com"),
        (REGIONAL, GLOBAL, "https://dc.services.visualstudio.com"),
        (GLOBAL, "https://dc.applicationinsights.microsoft.com", "https://dc.applicationinsights.microsoft.com"),
        (REGIONAL, "https://x.monitor.azure.com:443/v2/track", "https://x.monitor.azure.com:443"),
        ("https://a.applicationinsights.azure.us/", "https://b.monitor.azure.us/x", "https://b.monitor.azure.us"),
        ("https://a.applicationinsights.azure.cn/", "https://monitor.azure.cn/x", "https://monitor.azure.cn"),
        ("https://proxy.example:8443/track", "https://proxy.example/other", "https://proxy.example"),
        ("http://proxy.example/track", "https://proxy.example/other", "https://proxy.example"),
        (REGIONAL, "/v2/track", "https://westeurope-5.in.applicationinsights.azure.com"),
        (REGIONAL, REGIONAL.upper(), "https://westeurope-5.in.applicationinsights.azure.com"),
        ("http://127.0.0.1:5000/v2.1/track", "http://localhost:6000/v2/track", "http://localhost:6000"),
        ("http://[::1]:5000/", "http://[::1]:6000/", "http://[::1]:6000"),
    ],
)
def test_a_redirect_within_a_cloud_a_host_or_a_machine_is_followed(asked, target, origin):
    assert follow(asked, target) == origin


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (GLOBAL, "https://evil.example/v2/track"),
        (GLOBAL, "https://services.visualstudio.com.evil.example/"),
        (GLOBAL, "https://evilservices.visualstudio.com.example/"),
        (GLOBAL, "https://evil-applicationinsights.azure.com/"),
        (GLOBAL, "https://dc.services.visualstudio.com@evil.example/"),
        (GLOBAL, "https://evil.example#@dc.services.visualstudio.com/"),
        (GLOBAL, "http://dc.services.visualstudio.com/v2.1/track"),
        (GLOBAL.replace("https", "http"), REGIONAL.replace("https", "http")),
        (GLOBAL, "//.dc.services.visualstudio.com"),
        (GLOBAL, "http://127.0.0.1/"),
        (GLOBAL, "ftp://dc.services.visualstudio.com/"),
        (GLOBAL, "https://dc.services.visualstudio.com:port/"),
        (GLOBAL, "https://[dc.services.visualstudio.com/"),
        (GLOBAL, "https://dc.services.visualstudio.com%2eevil.example/"),
        (REGIONAL, "https://x.applicationinsights.azure.us/"),
        (REGIONAL, "https://x.applicationinsights.azure.cn/"),
        ("https://x.applicationinsights.azure.us/", GLOBAL),
        ("https://proxy.example/track", GLOBAL),
        ("http://127.0.0.1:5000/", "http://10.0.0.1/"),
        ("", "/v2/track"),
    ],
)
def test_any_other_redirect_is_refused(asked, target):
    """Foreign hosts however disguised, http after https, another cloud, and out of a gateway of one's own."""
    assert follow(asked, target) is None


SYMBOLS = ["https:", "http:", "//", "/", "@", "\\", "#", "?", ":", ".", "[", "]", "%2e", "1", "\t", " ", "é"]
HOSTS = ["evil.example", "dc.services.visualstudio.com", "x.applicationinsights.azure.com"]
tokens = st.sampled_from(SYMBOLS) | st.sampled_from(HOSTS)
azures = re.compile(r"https://([a-z0-9-]+\.)*(services\.visualstudio|applicationinsights\.azure)\.com(:\d+)?")


@given(st.lists(tokens, max_size=10).map("".join))
@example("https://evil.example\\@dc.services.visualstudio.com/")
def test_whatever_the_target_the_origin_is_azures(target):
    """No disguise leads out: an origin is put together from parts, so that no second parser can read another host."""
    origin = follow(GLOBAL, target)

    assert origin is None or azures.fullmatch(origin)
