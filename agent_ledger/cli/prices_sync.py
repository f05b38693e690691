"""`agent-ledger prices LEDGER sync`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.errors import PROBLEM, usage_error
from agent_ledger.cli.options import file_path, price_sources
from agent_ledger.cli.prices_set import store
from agent_ledger.hookspecs import PriceSource
from agent_ledger.ledger import Ledger, reading
from agent_ledger.prices.contract import ContractFile
from agent_ledger.records import Row

_COLUMNS = ("source", "provider", "model", "outcome", "rows", "detail")


@click.command()
@click.option("--contract", type=file_path(), help="A CSV or JSON file of your own prices, which win over all others.")
@click.option("--source", "names", multiple=True, metavar="NAME", help="Only this source.  [default: all]")
@output.form_options
@click.pass_context
def sync(ctx: click.Context, contract: Path | None, names: Sequence[str], form: str | None) -> None:
    """Ask the price sources about every model in the ledger, and keep what is new.

    No source is asked over the network. Nothing is ever removed: a model that a source no longer knows keeps its price.
    A source that fails leaves its earlier prices in force; the exit code is 1 then. Doing it twice adds nothing.

    \b
    Examples:
      agent-ledger prices ledger.db sync
      agent-ledger prices ledger.db sync --contract contract.csv
      agent-ledger prices ledger.db sync --source genai-prices --json
    """
    ledger: Path = ctx.obj
    with reading(ledger):  # a ledger that does not exist has no models to ask about
        sources = _chosen(names)
    answers: list[Row] = []
    if contract is not None:
        answers += _contract(ledger, contract)
    with Ledger(ledger) as book:
        answers += [{column: getattr(answer, column) for column in _COLUMNS} for answer in book.sync_prices(sources)]
    output.show(answers, _COLUMNS, form, empty=f"{ledger} has no calls yet, so there is no model to ask about")
    if any(answer["outcome"] in ("refused", "failed") for answer in answers):
        ctx.exit(PROBLEM)


def _chosen(names: Sequence[str]) -> list[PriceSource]:
    known = {source.name: source for source in price_sources()}
    for name in names:
        if name not in known:
            raise usage_error(f"there is no price source {name!r}: give one of {', '.join(sorted(known))}")
    return [source for name, source in known.items() if not names or name in names]


def _contract(ledger: Path, file: Path) -> list[Row]:
    rows = ContractFile(file).rows()
    new = store(ledger, rows)
    outcome = "new" if new else "unchanged"
    return [
        {
            "source": ContractFile.name,
            "provider": None,
            "model": "*",
            "outcome": outcome,
            "rows": new,
            "detail": str(file),
        }
    ]
