"""Delivery over TLS with Entra ID: a real handshake, and a managed identity as App Service offers it."""

import json

import pytest

from bridge.delivery import Delivery, Entra
from bridge.errors import ConfigurationError
from bridge.points import Batch, Condition
from bridge.sandbox import Sandbox
from tests.scripted.certificate import certificate as made
from tests.scripted.serving import Answer, serving

NOW = 1_790_000_000.0
CLIENT = "87654321-4321-4321-4321-cba987654321"


def batch(connection_string):
    key = connection_string.split(";")[0].partition("=")[2]
    base = {"ver": 2, "metrics": [{"name": "metric", "value": 1}]}
    envelope = {"name": "any", "time": "2026-09-21T14:13:20Z", "iKey": key}
    return Batch.pack([json.dumps({**envelope, "data": {"baseType": "MetricData", "baseData": base}}).encode()])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody vouches for, and its key, as files."""
    return made(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def sandbox(certificate):
    with Sandbox(scriptable=True, certificate=certificate, now=lambda: NOW) as sandbox:
        yield sandbox


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])


class Identity:
    """App Service's token endpoint; ``asked`` holds the queries, ``status`` what it answers."""

    def __init__(self):
        self.asked, self.status = [], 200

    def answer(self, asked):
        self.asked.append(asked.query)
        token = {"access_token": f"token-{len(self.asked)}", "expires_on": 4e9, "token_type": "Bearer"}
        body = json.dumps({**token, "resource": "any"}) if self.status == 200 else "{}"
        return Answer(body.encode(), self.status, "application/json")


@pytest.fixture
def identity(monkeypatch):
    identity = Identity()
    with serving(identity.answer) as address:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{address}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "any")
        yield identity


@pytest.fixture
def delivery(sandbox):
    made = []

    def make(entra):
        made.append(Delivery(sandbox.connection_string, entra=entra, clock=lambda: NOW))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_points_go_out_with_a_token_for_azure_monitor(delivery, sandbox, identity, trusted):
    receipt = delivery(Entra(CLIENT)).post(batch(sandbox.connection_string))

    assert (receipt.accepted, len(sandbox.rows())) == (1, 1)
    (asked,) = identity.asked
    assert (asked["resource"], asked["client_id"]) == ("https://monitor.azure.com/", CLIENT)


def test_without_a_token_nothing_is_posted_and_a_person_learns_why(delivery, sandbox, identity, trusted):
    identity.status = 400
    receipt = delivery(Entra()).post(batch(sandbox.connection_string))

    assert (receipt.condition, receipt.possibly_repeated, sandbox.posts()) == (Condition.MISCONFIGURED, 0, [])
    assert receipt.not_before == NOW + 60
    assert "no token from Entra ID" in receipt.detail
    assert "managed or workload identity" in receipt.detail


def test_a_token_that_is_refused_costs_no_point(delivery, sandbox, identity, trusted):
    sandbox.script([{"status": 401}])
    receipt = delivery(Entra()).post(batch(sandbox.connection_string))

    assert (receipt.condition, len(receipt.waiting)) == (Condition.MISCONFIGURED, 1)
    assert "role 'Monitoring Metrics Publisher'" in receipt.detail


def test_a_reply_that_is_lost_is_not_blamed_on_the_token(delivery, sandbox, identity, trusted):
    sandbox.script([{"hang": 0}])
    receipt = delivery(Entra()).post(batch(sandbox.connection_string))

    assert (receipt.condition, receipt.possibly_repeated) == (Condition.UNREACHABLE, 1)


def test_no_token_goes_out_without_tls(monkeypatch, identity):
    with Sandbox(now=lambda: NOW) as plain:
        delivery = Delivery(plain.connection_string, entra=Entra(), clock=lambda: NOW)
        receipt = delivery.post(batch(plain.connection_string))
        delivery.close()

        assert (receipt.condition, plain.posts()) == (Condition.MISCONFIGURED, [])
    assert "non-TLS" in receipt.detail


def test_a_certificate_that_nobody_vouches_for_gets_no_points(delivery, sandbox):
    receipt = delivery(None).post(batch(sandbox.connection_string))

    assert (receipt.condition, receipt.possibly_repeated, sandbox.posts()) == (Condition.UNREACHABLE, 0, [])
    assert "REQUESTS_CA_BUNDLE" in receipt.detail


def test_a_workload_identity_without_a_client_is_a_matter_of_configuration(monkeypatch):
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/any")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.example")
    monkeypatch.setenv("AZURE_CLIENT_ID", "")

    with pytest.raises(ConfigurationError, match="Authorization=AAD;ClientId="):
        Delivery("InstrumentationKey=00000000-0000-0000-0000-000000000000", entra=Entra())
