"""`agent-ledger allocate`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import click

from agent_ledger import money
from agent_ledger.cli import output
from agent_ledger.cli.options import ledger_argument
from agent_ledger.ledger import Ledger, reading
from agent_ledger.records import Row

_SUMS = """
  select 'allocated' as part, method as how, count(distinct charge_row) as lines,
    coalesce(sum(cost_picos / 244140625), 0) as whole, coalesce(sum(cost_picos % 244140625), 0) as rest
  from allocated_charge group by method
  union all
  select 'unallocated', reason, count(*), sum(cost_picos / 244140625), sum(cost_picos % 244140625)
  from unallocated_charge group by reason
  order by part, how
"""


@click.command()
@ledger_argument
@output.form_options
def allocate(ledger: Path, form: str | None) -> None:
    """Find the tool calls that caused each line of the cloud bills, and say what nobody caused.

    An import of a bill does it already; do it again after tool calls, rules, tool prices or exchange rates were added.

    \b
    Examples:
      agent-ledger allocate ledger.db
    """
    with Ledger(ledger) as book:
        book.allocate()
    with reading(ledger) as connection:
        found = [_summed(row) for row in connection.execute(_SUMS)]
    output.show(found, ("part", "how", "lines", "cost_usd"), form, empty=f"{ledger} has no cloud bill: import one")


def _summed(row: sqlite3.Row) -> Row:
    picos = None if row["whole"] is None else row["whole"] * 244140625 + row["rest"]
    cost = None if picos is None else float(money.dollars(picos))
    return {"part": row["part"], "how": row["how"], "lines": row["lines"], "cost_usd": cost}
