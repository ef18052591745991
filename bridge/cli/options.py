"""Takes a function, gives a command of triton-bridge: with an option for each setting, logging, and an exit code."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from bridge import __version__, logs
from bridge.errors import BridgeError, ConfigurationError, Finding
from bridge.settings import Described, describe, load

log = logging.getLogger(__name__)

app = typer.Typer(
    name="triton-bridge",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def tell(findings: Iterable[Finding]) -> None:
    """Write findings to stderr, a line each."""
    for finding in findings:
        print(f"{finding.severity.value}: {finding}", file=sys.stderr)


def _logged(error: BridgeError) -> int:
    """Let the log tell why a command ends; its exit code."""
    findings = error.findings if isinstance(error, ConfigurationError) else (error,)
    for finding in findings:
        log.error(str(finding))
    return 2 if isinstance(error, ConfigurationError) else 1


def _version(wanted: bool) -> None:  # noqa: FBT001 — a callback of typer
    if wanted:
        print(f"triton-bridge {__version__}")
        raise typer.Exit


@app.callback()
def _(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Carry chosen metrics of a Triton server from Prometheus into Azure Application Insights."""


def _option(setting: Described) -> inspect.Parameter:
    """The option that mirrors a setting. Secrets have none: command lines are visible to others."""
    text = f"{setting.meaning}  [env: {', '.join(setting.names)}]  [default: {setting.default or 'none'}]"
    kind: Any = bool if setting.flag else str
    option = typer.Option(setting.option, metavar=setting.metavar or None, help=text, show_default=False)
    return inspect.Parameter(
        setting.field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def command(*, need_credential: bool) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """A command that takes Settings: it gets one option for each, and logging; its result is the exit code."""

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        own = [p for name, p in inspect.signature(function, eval_str=True).parameters.items() if name != "settings"]
        mirrored = [setting for setting in describe() if setting.option]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            overrides = {setting.field: given.pop(setting.field) for setting in mirrored}
            credential = need_credential and not given.get("dry_run")
            settings = load(overrides=overrides, need_credential=credential)
            handler = logs.setup(settings.log_level, settings.log_format, secrets=settings.secrets)
            try:
                code = function(settings, **given)
            except BridgeError as error:
                if settings.log_format == "text":
                    raise  # to a person, as a line without a time
                code = _logged(error)
            finally:
                handler.close()
            raise typer.Exit(code)

        signature = inspect.Signature([*own, *map(_option, mirrored)])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        app.command()(run)
        return run

    return decorate
