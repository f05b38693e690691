"""`agent-ledger close`."""

from __future__ import annotations

from contextlib import closing as closing_at_end
from dataclasses import asdict
from pathlib import Path

import click

from agent_ledger import closing, reporting
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import ledger_argument, text_option
from agent_ledger.cli.output import plain
from agent_ledger.connection import Writer
from agent_ledger.ledger import Ledger, reading


def _month(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return reporting.month_of(value)[0][:7]
    except ValueError:
        raise click.BadParameter(f"{value!r}: give a month such as 2026-10", ctx, param) from None


@click.command()
@ledger_argument
@click.argument("month", metavar="MONTH", callback=_month)
@click.option("--reopen", is_flag=True, help="Open a closed month again. Needs --reason.")
@text_option("--reason", help="Why, for the record.")
@text_option("--by", "who", help="Who closes or opens it, for the record.")
@output.json_option
def close(ledger: Path, month: str, reopen: bool, reason: str | None, who: str | None, form: str | None) -> None:
    """Close a month: what was reported for it stays, whatever is recorded later.

    All figures of the month (UTC), by every axis, are written down, with a SHA-256 digest to keep elsewhere. Later
    prices, calls, bills and assignments change the other views as ever; view restatement says what they changed, and
    why.

    \b
    Examples:
      agent-ledger close ledger.db 2026-10 --by ana@example.com
      agent-ledger rows ledger.db restatement --where month=2026-10
      agent-ledger close ledger.db 2026-10 --reopen --reason "the bill of October was corrected"
    """
    if reopen and reason is None:
        raise usage_error("--reopen needs --reason")
    with reading(ledger):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger):
        pass  # brings in the rows that wait, and looks up prices that are missing
    with closing_at_end(Writer(ledger, synchronous="full")) as writer, writer.transaction() as connection:
        if reopen:
            closing.reopen(connection, month, reason or "", reopened_by=who)
            closed = None
        else:
            closed = closing.close(connection, month, reason=reason, closed_by=who)
    if closed is None:
        if form == "json":
            output.show_json({"month": month, "event": "reopen", "reason": reason})
        else:
            click.echo(f"{month} is open again")
        return
    if form == "json":
        output.show_json(asdict(closed))
        return
    click.echo(_said(closed))
    for warning in closed.warnings:
        click.echo(plain(f"Warning: {warning}"), err=True)


def _said(closed: closing.Closed) -> str:
    amounts = (closed.all_in_usd, closed.llm_usd, closed.tool_usd)
    largest = max(abs(amount or 0) for amount in amounts)
    all_in, llm, tool = ("unknown" if amount is None else f"{output.money(amount, largest)} USD" for amount in amounts)
    return (
        f"closed {closed.month}: {all_in} (LLM calls {llm}, tool calls and bills {tool})\n"
        f"{output.count(closed.figures, 'figure')}, SHA-256 {closed.digest}"
    )
