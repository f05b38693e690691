"""`agent-ledger tool-price`: what tools cost whose price is known per call."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from agent_ledger import money
from agent_ledger.cli import output
from agent_ledger.cli.options import LedgerCommands, amount_option, ledger_argument, moment_option, text_option
from agent_ledger.ledger import Ledger, reading, select


@click.group(cls=LedgerCommands, subcommand_metavar="COMMAND [OPTIONS]")
@ledger_argument
@click.pass_context
def tool_price(ctx: click.Context, ledger: Path) -> None:
    """Say what a tool costs, per call or per unit: such calls take no part of a cloud bill.

    \b
    Examples:
      agent-ledger tool-price ledger.db set geocode --price 0.005
      agent-ledger tool-price ledger.db list
    """
    ctx.obj = ledger


@click.command("set")
@click.argument("tool")
@amount_option("--price", help="Per call, or per --unit.", required=True)
@text_option("--server", help="Only where this server offers it.  [default: any]")
@text_option("--unit", help="Of what calls count: requests, bytes, ….  [default: per call]")
@moment_option("--from", "effective_from", help="From when the price holds (UTC).  [default: since ever]")
@moment_option("--to", "effective_to", help="Up to when, exclusively (UTC).  [default: open]")
@click.pass_obj
def set_(
    ledger: Path,
    tool: str,
    price: Decimal,
    server: str | None,
    unit: str | None,
    effective_from: str | None,
    effective_to: str | None,
) -> None:
    """Set what a tool costs, in US dollars. Bills are allocated anew at once.

    \b
    Examples:
      agent-ledger tool-price ledger.db set geocode --server maps --price 0.005 --from 2026-10-01
      agent-ledger tool-price ledger.db set store --unit bytes --price 0.00000002
    """
    with Ledger(ledger) as book:
        book.set_tool_price(
            tool, price, server=server, unit=unit, effective_from=effective_from, effective_to=effective_to
        )
    click.echo(output.plain(f"{tool} costs {price} USD per {unit or 'call'}"))


@click.command("list")
@output.form_options
@click.pass_obj
def list_(ledger: Path, form: str | None) -> None:
    """List all that was said; the later line of a tool and moment holds.

    \b
    Examples:
      agent-ledger tool-price ledger.db list
    """
    with reading(ledger) as connection:
        found = [
            {**row, "price_usd": float(money.dollars(row["price"]))} for row in select(connection, "tool_price", {})
        ]
    columns = ["id", "recorded_at"] if form else []
    columns += ["server", "tool", "effective_from", "effective_to", "unit", "price_usd"]
    output.show(found, columns, form, empty=f"{ledger} has no tool prices")


for _command in (set_, list_):
    tool_price.add_command(_command)
