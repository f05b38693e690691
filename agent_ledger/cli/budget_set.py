"""`agent-ledger budget LEDGER set`, `except` and `end`: what the user says about budgets."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import moment_option, text_option
from agent_ledger.cli.output import plain
from agent_ledger.control.budgets import BASES, BREACHES, SCOPES, STEPS
from agent_ledger.control.windows import PERIODS
from agent_ledger.errors import LedgerError
from agent_ledger.ledger import Ledger, reading

Command = TypeVar("Command", bound=Callable[..., Any])


def _of_scope(command: Command) -> Command:
    """--agent KEY, --team KEY, …, --everything: whose budget it is."""
    for scope in reversed(SCOPES[:-1]):
        command = text_option(f"--{scope}", help=f"The {scope} whose budget it is.")(command)
    return click.option("--everything", is_flag=True, help="The budget of all together.")(command)


def _whose(given: dict[str, Any]) -> tuple[str, str | None]:
    named = [(scope, given.pop(scope)) for scope in SCOPES]
    chosen = [(scope, key) for scope, key in named if key]
    if len(chosen) != 1:
        raise usage_error(f"give one of {', '.join(f'--{scope}' for scope in SCOPES)}")
    scope, key = chosen[0]
    return scope, None if scope == "everything" else key


def _steps(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    try:
        return [int(step.strip().removesuffix("%")) for step in value.split(",") if step.strip()]
    except ValueError:
        raise click.BadParameter(f"{value!r}: give percentages such as 50,80,100", ctx, param) from None


def _models(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    mapping: dict[str, str] = {}
    for value in values:
        pattern, sign, model = value.rpartition("=")
        if not model.strip() or (sign and not pattern.strip()):
            raise click.BadParameter(f"{value!r}: give MODEL, or PATTERN=MODEL", ctx, param)
        mapping[pattern or "*"] = model
    return mapping or None


@click.command("set")
@_of_scope
@click.option("--limit", metavar="USD", help="How much may be spent: US dollars, or --currency.")
@click.option("--currency", default="USD", show_default=True, help="Another one has an exchange rate: see `rate`.")
@click.option("--tokens", type=int, help="A limit in tokens, input and output together, instead of --limit.")
@click.option("--period", type=click.Choice(PERIODS), required=True, help="Per what.")
@click.option("--tz", "zone", default="UTC", show_default=True, help="Whose days, weeks and months: an IANA time zone.")
@click.option(
    "--basis",
    type=click.Choice(BASES),
    default="llm",
    show_default=True,
    help="LLM calls alone, or tool calls and bills too.",
)
@click.option(
    "--on-breach", type=click.Choice(BREACHES), default="notify", show_default=True, help="What is done at the limit."
)
@click.option(
    "--throttle-to",
    multiple=True,
    metavar="[PATTERN=]MODEL",
    callback=_models,
    help="The model to use instead; may be given for each pattern. The first that matches counts.",
)
@click.option(
    "--steps",
    default=",".join(map(str, STEPS)),
    show_default=True,
    callback=_steps,
    help="At which percentages of the limit somebody is told.",
)
@click.option("--hard-cap", "hard_percent", type=int, metavar="PERCENT", help="Of the limit: no call may pass it.")
@text_option("--tier", help="How much it matters, for the rules of a policy.")
@text_option("--name", help="To tell several apart.  [default: whose it is and the period]")
@moment_option("--from", "valid_from", help="Since when (UTC).  [default: now]")
@text_option("--by", "recorded_by", help="Who says so, for the record.")
@text_option("--reason", help="Why, for the record.")
@click.pass_obj
def set_(ledger: Path, /, limit: str | None, **given: Any) -> None:
    """Set a budget, or change it: the same name from another moment on.

    At the limit somebody is told, and what --on-breach says is done: calls go to another model, or are refused, until
    the period is over. What runs the agents has to ask for it: `ledger.instrument(client, enforce=True)`.

    \b
    Examples:
      agent-ledger budget ledger.db set --agent fraud-classifier --limit 100 --period month
      agent-ledger budget ledger.db set --team risk --limit 50 --period day --tz Europe/Berlin --on-breach block
      agent-ledger budget ledger.db set --agent summarizer --limit 20 --period week --on-breach throttle
        --throttle-to "claude-sonnet-*=claude-haiku-4-5"
    """
    scope, key = _whose(given)
    if (limit is None) == (given["tokens"] is None):
        raise usage_error("give --limit or --tokens")
    if given["on_breach"] == "throttle" and given["throttle_to"] is None:
        raise usage_error("--on-breach throttle needs --throttle-to MODEL")
    with reading(ledger):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger) as book:
        name = book.set_budget(scope, key, limit=limit, **given)
    amount = f"{given['tokens']:,} tokens" if limit is None else f"{Decimal(limit):,} {given['currency']}"
    click.echo(plain(f"budget {name}: {amount} per {given['period']}, then {given['on_breach']}"))


@click.command("except")
@click.argument("budget")
@moment_option("--until", help="Until when (UTC) it may be overrun.")
@text_option("--by", "granted_by", help="Who grants it.")
@text_option("--reason", help="Why.")
@click.option("--revoke", is_flag=True, help="End the exceptions that hold instead.")
@click.pass_obj
def except_(
    ledger: Path, budget: str, until: str | None, granted_by: str | None, reason: str | None, revoke: bool
) -> None:
    """Let a budget be overrun for a time. BUDGET is its name, or its key where that has one budget only.

    Directives of the budget are no longer obeyed at once; the next tick of the loop lifts them and records why.

    \b
    Examples:
      agent-ledger budget ledger.db except fraud-classifier --until 2026-11-20 --by ana@example.com --reason "audit"
      agent-ledger budget ledger.db except fraud-classifier --revoke --by ana@example.com
    """
    if granted_by is None or (until is None) != revoke:
        raise usage_error("give --by, and either --until or --revoke")
    name = _named(ledger, budget)
    with Ledger(ledger) as book:
        if revoke:
            held = book.rows("exception_in_force", budget=name)
            if not held:
                raise LedgerError(f"no exception holds for budget {name}: nothing to revoke")
            for row in held:
                book.revoke_exception(row["exception_id"], granted_by=granted_by, reason=reason)
            click.echo(plain(f"budget {name}: no exception any more"))
        else:
            book.grant_exception(name, until=until, granted_by=granted_by, reason=reason)
            click.echo(plain(f"budget {name}: may be overrun until {until}, as {granted_by} says"))


@click.command("end")
@click.argument("budget")
@text_option("--reason", help="Why, for the record.")
@click.pass_obj
def end(ledger: Path, budget: str, reason: str | None) -> None:
    """End a budget from now on. BUDGET is its name, or its key where that has one budget only.

    \b
    Examples:
      agent-ledger budget ledger.db end "agent fraud-classifier per month"
    """
    name = _named(ledger, budget)
    with Ledger(ledger) as book:
        book.end_budget(name, reason=reason)
    click.echo(plain(f"budget {name}: ended"))


def _named(ledger: Path, text: str) -> str:
    """The budget that is meant."""
    with reading(ledger) as connection:
        found = connection.execute("select budget, key from budget_in_force order by budget").fetchall()
    if any(name == text for name, _ in found):
        return text
    of_key = [str(name) for name, key in found if key == text]
    if len(of_key) == 1:
        return of_key[0]
    known = ", ".join(of_key or [str(name) for name, _ in found]) or "none yet"
    raise LedgerError(f"there is no budget {text!r} alone: there are {known}")
