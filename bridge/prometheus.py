"""Takes a PromQL expression and a time, gives series; the only module that knows how Prometheus is asked.

It asks once: retries belong to the cycle. An answer with warnings counts as none, since part of the data may be
missing (Prometheus' HTTP API, "warnings"), and an error carries Prometheus' own reason, and the setting that may mend it.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.retry import Retry

from bridge.durations import parse_duration
from bridge.errors import PartialAnswer, PrometheusError, PrometheusRefused, PrometheusUnreachable
from bridge.masking import masking
from bridge.points import Series

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_AT_URL = " — look at BRIDGE_PROMETHEUS_URL"
_LOOK_AT_CREDENTIALS = " — look at BRIDGE_PROMETHEUS_USERNAME and _PASSWORD, _BEARER_TOKEN, or _HEADERS"
_NAME_CA = " — name a PEM file with its certificate, or its issuer's, in BRIDGE_PROMETHEUS_CA"
# By OpenSSL's codes (x509_vfy.h): the certificate or its issuer is not known, or it is made out to another name.
_UNTRUSTED = {**dict.fromkeys((18, 19, 20, 21), _NAME_CA), **dict.fromkeys((62, 64), _LOOK_AT_URL)}


class Target(NamedTuple):
    """An active scrape target; intervals in seconds. ``health`` is up, down or unknown."""

    job: str
    instance: str
    scrape_interval: float
    scrape_timeout: float
    health: str
    last_error: str


class Rule(NamedTuple):
    """A loaded recording rule; ``health`` is ok, err or unknown, ``interval`` that of its group in seconds."""

    record: str
    expr: str
    health: str
    last_error: str
    interval: float


class Prometheus:
    """One Prometheus server. Every method raises a PrometheusError when it cannot answer."""

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        bearer_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        ca: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.url = url.rstrip("/")
        session = requests.Session()
        session.hooks["response"].append(_read)
        session.headers.update(headers or {})
        session.verify = ca or True
        if bearer_token:
            session.headers["Authorization"] = f"Bearer {bearer_token}"
        self._session = session
        self._timeout = timeout
        # A door in front of Prometheus may say our own words again, and what it said is shown without a password.
        basic = b64encode(":".join(auth).encode("latin-1", "replace")).decode() if auth else ""
        self._mask = masking((auth and auth[1], basic, bearer_token, *(headers or {}).values()))
        # auth goes through the client, which passes it with every request; without any, requests reads ~/.netrc.
        self._client = PrometheusConnect(self.url, session=session, auth=auth, retry=Retry(0), timeout=timeout)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, expr: str, at: float) -> list[Series]:
        """Ask an instant query at ``at`` (epoch s). A scalar gives one series without labels."""
        with self._errors():
            result = self._client.custom_query(expr, params={"time": f"{at:.3f}"})
            if result and not isinstance(result[0], dict):
                return [Series({}, [_scalar(*result)])]
            return [
                Series(row["metric"], row.get("values") or [row["value"]])
                for row in result
                if "values" in row or "value" in row  # a native histogram has neither
            ]

    def now(self) -> float:
        """Prometheus' own clock, epoch s."""
        with self._errors():
            return float(self._client.custom_query("time()")[1])

    def targets(self) -> list[Target]:
        """The active scrape targets."""
        with self._errors():
            return [
                Target(
                    job=target["labels"].get("job", ""),
                    instance=target["labels"].get("instance", ""),
                    scrape_interval=parse_duration(target["scrapeInterval"]),
                    scrape_timeout=parse_duration(target["scrapeTimeout"]),
                    health=target["health"],
                    last_error=target["lastError"],
                )
                for target in self._client.get_targets(state="active")["activeTargets"]
            ]

    def rules(self) -> list[Rule]:
        """The recording rules that are loaded."""
        with self._errors():
            return [
                Rule(rule["name"], rule["query"], rule["health"], rule.get("lastError", ""), float(group["interval"]))
                for group in self._get("rules", type="record")["groups"]
                for rule in group["rules"]
            ]

    def names(self) -> set[str]:
        """The metric names that are present now. Label values would tell of the whole retention."""
        return {series.labels["__name__"] for series in self.ask('count by (__name__) ({__name__!=""})', self.now())}

    def kinds(self) -> dict[str, str]:
        """The types that the active targets give their metrics, by family: a histogram's name is that of all its parts."""
        with self._errors():
            return {family: texts[0]["type"] for family, texts in self._get("metadata").items() if texts}

    def lookback(self) -> float:
        """``--query.lookback-delta`` in seconds: how old a sample an instant query still returns."""
        with self._errors():
            return parse_duration(self._get("status/flags")["query.lookback-delta"])

    def version(self) -> str:
        """Prometheus' version."""
        with self._errors():
            return str(self._get("status/buildinfo")["version"])

    def _get(self, path: str, **params: str) -> Any:
        """An endpoint of the API that the client library does not know."""
        # Without ``verify`` REQUESTS_CA_BUNDLE, which the way to Azure may need, would win over the session's own.
        return self._session.get(
            f"{self.url}/api/v1/{path}",
            params=params,
            timeout=self._timeout,
            auth=self._client.auth,
            verify=self._session.verify,
        ).json()["data"]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Every way of failing as one type, without a secret of ours."""
        try:
            with _errors():
                yield
        except PrometheusError as error:
            error.args = tuple(map(self._mask, error.args))
            raise


def _scalar(time: float, text: str) -> tuple[float, str]:
    """The sample that a scalar is. Raises PrometheusError for a string, which PromQL can give too."""
    try:
        float(text)
    except ValueError:
        raise PrometheusError("the result is a string and no number") from None
    return time, text


class _Answer(requests.Response):
    """A response whose ``json()`` is read by orjson, without a copy of the text in between."""

    def json(self, **_: Any) -> Any:
        return orjson.loads(self.content)


def _read(response: requests.Response, *_: object, **__: object) -> requests.Response:
    """Session hook: turn what is no full answer into an error that says why."""
    if response.is_redirect:
        return response
    answer = _Answer()
    vars(answer).update(vars(response))
    try:
        document = answer.json()
        failed = document.get("status") != "success"
        reason = document.get("error", "")
        # Remarks on the query itself say nothing of missing data; 2.53 has them here, 3 in part ("infos").
        warnings = [text for text in document.get("warnings") or () if not text.startswith("PromQL ")]
    except (orjson.JSONDecodeError, AttributeError):
        if answer.status_code == 200:
            place = answer.url.partition("?")[0]
            raise PrometheusError(f"{place} answered, but not as Prometheus does{_LOOK_AT_URL}") from None
        raise _refusal(answer, _LOOK_AT_URL if answer.status_code in {400, 404, 405} else "") from None
    if failed or answer.status_code != 200:
        raise _refusal(answer, reason=reason)
    if warnings:
        raise PartialAnswer(f"Prometheus warns that the answer may be partial: {'; '.join(warnings)}")
    return answer


def _refusal(answer: requests.Response, remedy: str = "", reason: str = "") -> PrometheusRefused:
    """What an error status says. 401 and 403 are of the door in front of Prometheus, whatever stands behind it."""
    if answer.status_code in {401, 403}:
        remedy = _LOOK_AT_CREDENTIALS
    return PrometheusRefused(answer.status_code, (reason or answer.reason or "no reason given") + remedy)


@contextmanager
def _errors() -> Iterator[None]:
    """Give every way of failing to be answered one type. The text of a ValueError may hold a credential: it is dropped."""
    try:
        yield
    except (UnicodeError, requests.exceptions.InvalidHeader) as error:
        raise PrometheusError(
            f"Prometheus cannot be asked: no header can hold the user, the password, the token or one of "
            f"BRIDGE_PROMETHEUS_HEADERS ({type(error).__name__})",
        ) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise PrometheusError(
            f"BRIDGE_PROMETHEUS_URL, or where it redirects to, cannot be asked ({type(error).__name__})"
        ) from None
    except requests.RequestException as error:
        raise PrometheusUnreachable(_without_answer(list(_chain(error)))) from error
    except OSError as error:
        raise PrometheusError(f"BRIDGE_PROMETHEUS_CA cannot be read: {error}") from error
    except ValueError as error:
        raise PrometheusError(f"Prometheus' answer cannot be read ({type(error).__name__})") from None
    except (PrometheusApiClientException, LookupError, TypeError) as error:
        raise PrometheusError(f"Prometheus' answer cannot be read: {error!r}") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """A network error and what lies behind it: requests, urllib3 and Python wrap one another."""
    while error is not None:
        yield error
        inside = (getattr(error, "reason", None), *error.args, error.__cause__)
        error = next((one for one in inside if isinstance(one, BaseException)), None)


def _without_answer(chain: list[BaseException]) -> str:
    """Why there is none, and what mends it."""
    if any(isinstance(error, ReadTimeoutError) for error in chain):
        return "Prometheus did not answer in time"
    cause = chain[-1]
    reason, remedy = str(cause), _LOOK_AT_URL
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason, remedy = cause.verify_message, _UNTRUSTED.get(cause.verify_code, "")
    elif isinstance(cause, ssl.SSLError) and cause.library == "X509":
        remedy = _NAME_CA
    return f"Prometheus cannot be reached: {reason}{remedy}"
