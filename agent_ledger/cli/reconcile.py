"""`agent-ledger reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from agent_ledger import money, reporting
from agent_ledger.cli import output
from agent_ledger.cli.errors import PROBLEM, Sentence
from agent_ledger.cli.options import opened, source_argument
from agent_ledger.far import Address
from agent_ledger.records import Row
from agent_ledger.selecting import Selects

_COMPARED = ("provider", "calls", "unpriced_calls", "ledger_usd", "invoiced_usd", "difference_usd", "explained_share")
_RESIDUALS = {
    "unrecorded_usage_usd": "used and not recorded",
    "unpriced_models_usd": "calls without a price",
    "price_difference_usd": "same tokens, other price",
    "discounts_credits_usd": "discounts and credits",
    "timing_usd": "calls that are not billed yet",
    "rounding_usd": "rounding",
    "other_usd": "not explained",
}
_MODELS = ("provider", "model", "ledger_tokens", "reported_tokens", "ledger_usd", "invoiced_usd", "difference_usd")
_AGENTS = ("provider", "agent_id", "calls", "cost_usd")


@dataclass(frozen=True, slots=True)
class _Tolerance:
    """How far the ledger may be from the invoice: a share of the invoice, or dollars."""

    share: Decimal | None
    dollars: Decimal

    def holds(self, row: Row) -> bool:
        """Whether a row of `reconciliation` is within; a row without a bill is not."""
        if row["difference_usd"] is None or row["unconverted_lines"]:
            return False
        limit = self.dollars if self.share is None else self.share * abs(money.decimal(row["invoiced_usd"]))
        return abs(money.decimal(row["difference_usd"])) <= limit


def _tolerance(ctx: click.Context, param: click.Parameter, value: str) -> _Tolerance:
    try:
        share = value.strip().endswith("%")
        amount = money.decimal(value.strip().removesuffix("%"))
        if amount < 0 or amount.adjusted() > 12:
            raise ValueError(value)
        return _Tolerance(amount / 100, Decimal(0)) if share else _Tolerance(None, amount)
    except (ValueError, InvalidOperation):
        raise click.BadParameter(f"{value!r}: give a share such as 1%, or dollars such as 0.50", ctx, param) from None


def _month(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        reporting.month_of(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}: give a month such as 2026-01", ctx, param) from None
    return value.strip()


@click.command()
@source_argument
@click.option("--month", metavar="YYYY-MM", required=True, callback=_month, help="The month of the invoice (UTC).")
@click.option(
    "--provider", help="Only this provider: anthropic, openai, aws for Bedrock, …  [default: all with a bill]"
)
@click.option(
    "--tolerance",
    metavar="SHARE|USD",
    default="1%",
    show_default=True,
    callback=_tolerance,
    help="How far the ledger may be from each invoice: 1% of it, or dollars.",
)
@output.json_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    ledger: Path | Address,
    month: str,
    provider: str | None,
    tolerance: _Tolerance,
    form: str | None,
) -> None:
    """Does the ledger agree with the providers' invoices, and what explains the difference?

    Compares the calls of a month, at the ledger's prices, with the lines for tokens of the bills that were imported.
    The residuals add up to the difference. The exit code is 1 where a difference is beyond --tolerance or there is no
    bill, and 0 otherwise.

    \b
    Examples:
      agent-ledger reconcile ledger.db --month 2026-10
      agent-ledger reconcile ledger.db --month 2026-10 --provider anthropic --tolerance 0.50
    """
    with opened(ledger) as connection:
        compared = _rows(connection, "reconciliation", month, provider)
        billed = [row for row in compared if row["invoiced_usd"] is not None or row["unconverted_lines"]]
        names = {row["provider"] for row in billed}
        by_model = _rows(connection, "reconciliation_by_model", month, provider)
        by_agent = _rows(connection, "invoice_by_agent", month, provider)
    if not billed:
        whose = f" of {provider}" if provider else ""
        raise Sentence(f"{ledger} has no bill{whose} for the tokens of {month}: import one, such as anthropic-cost")
    beyond = [row["provider"] for row in billed if not tolerance.holds(row)]
    if form == "json":
        output.show_json(
            {
                "month": month,
                "within_tolerance": not beyond,
                "providers": compared,
                "models": by_model,
                "agents": by_agent,
            }
        )
    else:
        _tell(billed, [row for row in by_model if row["provider"] in names], by_agent)
        _conclude(compared, beyond)
    if beyond:
        ctx.exit(PROBLEM)


def _rows(connection: Selects, view: str, month: str, provider: str | None) -> list[Row]:
    """The rows of one view; what they are grouped by is compared without case."""
    sql = f"select * from {view} where month = ? and (? is null or provider = lower(?)) order by provider"
    order = {
        "invoice_by_agent": ", agent_id = '(unattributed)', cost_usd desc, agent_id",
        "reconciliation_by_model": ", model",
    }.get(view, "")
    return [dict(row) for row in connection.execute(sql + order, [month, provider, provider])]


def _tell(billed: Sequence[Row], by_model: Sequence[Row], by_agent: Sequence[Row]) -> None:
    output.show(billed, _COMPARED, None, empty="")
    for row in billed:
        if row["difference_usd"] is None:
            continue
        residuals = [{"explanation": text, "amount_usd": row[name]} for name, text in _RESIDUALS.items() if row[name]]
        if residuals:
            click.echo(f"\nThe difference to the invoice of {output.plain(row['provider'])}:\n")
            output.show(residuals, ("explanation", "amount_usd"), None, empty="")
    click.echo("\nBy model:\n")
    output.show(by_model, _MODELS, None, empty="")
    if by_agent:
        click.echo("\nWhose invoice it is:\n")
        output.show(by_agent, _AGENTS, None, empty="")


def _conclude(compared: Sequence[Row], beyond: Sequence[str]) -> None:
    click.echo()
    for row in compared:
        name = output.plain(row["provider"])
        if row["invoiced_usd"] is None and not row["unconverted_lines"]:
            click.echo(f"{name}: {output.count(row['calls'], 'call')} and no bill")
            continue
        if row["unconverted_lines"]:
            click.echo(f"{name}: {output.count(row['unconverted_lines'], 'line')} in a currency without exchange rate")
        if row["invoiced_usd"] is not None:
            verdict = "beyond the tolerance" if row["provider"] in beyond else "within the tolerance"
            total = output.money(row["invoiced_usd"])
            click.echo(f"{name}: agents and (unattributed) add up to the invoice, {total} USD; {verdict}")
