"""`agent-ledger rate`: what other currencies are worth."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import LedgerCommands, amount_argument, ledger_argument, moment_option
from agent_ledger.ledger import Ledger, reading, select


@click.group(cls=LedgerCommands, subcommand_metavar="COMMAND [OPTIONS]")
@ledger_argument
@click.pass_context
def rate(ctx: click.Context, ledger: Path) -> None:
    """Say what other currencies are worth in US dollars, from when on, so that bills in them can be added up.

    \b
    Examples:
      agent-ledger rate ledger.db set EUR 1.08 --from 2026-10-01
      agent-ledger rate ledger.db list
    """
    ctx.obj = ledger


@click.command("set")
@click.argument("currency")
@amount_argument("usd", metavar="USD")
@moment_option("--from", "effective_from", help="From when it holds (UTC).  [default: since ever]")
@click.pass_obj
def set_(ledger: Path, currency: str, usd: Decimal, effective_from: str | None) -> None:
    """Set what one unit of CURRENCY is worth in US dollars. Bills are allocated anew at once.

    \b
    Examples:
      agent-ledger rate ledger.db set EUR 1.08 --from 2026-10-01
    """
    currency = currency.upper()
    with Ledger(ledger) as book:
        book.set_exchange_rate(currency, usd, effective_from=effective_from)
    click.echo(
        output.plain(f"1 {currency} is {usd} USD, {f'from {effective_from} on' if effective_from else 'since ever'}")
    )


@click.command("list")
@output.form_options
@click.pass_obj
def list_(ledger: Path, form: str | None) -> None:
    """List all that was said, the later line of a currency and day holds.

    \b
    Examples:
      agent-ledger rate ledger.db list
    """
    with reading(ledger) as connection:
        found = select(connection, "exchange_rate", {})
        columns = [row[1] for row in connection.execute("pragma table_info(exchange_rate)")]
    columns = columns if form else ["currency", "effective_from", "usd"]
    output.show(found, columns, form, empty=f"{ledger} has no exchange rates: only bills in USD are added up")


for _command in (set_, list_):
    rate.add_command(_command)
