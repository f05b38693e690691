"""`agent-ledger share`: over whom the rest of the bills is shared."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click

from agent_ledger import bill_settings, money
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import ledger_argument
from agent_ledger.ledger import Ledger, reading


def _weights(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for pair in value:
        agent, _, weight = pair.rpartition("=")
        try:
            found[agent] = money.decimal(weight)
        except ValueError:
            raise click.BadParameter(f"{pair!r}: give AGENT=WEIGHT, such as reader=3", ctx, param) from None
    if len(found) < len(value):
        raise click.BadParameter("an agent is named twice", ctx, param)
    return found


@click.command()
@ledger_argument
@click.argument("method", type=click.Choice(bill_settings.SHARING))
@click.argument("shares", nargs=-1, metavar="[AGENT=WEIGHT]...", callback=_weights)
def share(ledger: Path, method: str, shares: dict[str, Decimal]) -> None:
    """Share what no tool call claimed of the bills over the agents of each month.

    Each alike (even), by their direct cost (proportional), by weights (fixed), or not at all (none, the default).
    Of fixed shares only those of agents with calls in the month count. What is shared is a column of its own in `report
    --by agent --all-in --month` and in the view shared_by_agent; direct cost stays as it is.

    \b
    Examples:
      agent-ledger share ledger.db proportional
      agent-ledger share ledger.db fixed reader=3 writer=1
      agent-ledger rows ledger.db shared_by_agent
    """
    if (method == "fixed") != bool(shares):
        raise usage_error("give AGENT=WEIGHT with fixed, and only there")
    with reading(ledger):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger) as book:
        book.set_sharing(method, shares or None)
    click.echo(output.plain(f"sharing is {method}: agent-ledger rows {ledger} shared_by_agent shows it"))
