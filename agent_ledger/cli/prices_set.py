"""`agent-ledger prices LEDGER set`, and how prices that the user knows are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from agent_ledger import money, pricebook
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import amount_option, file_path, moment_option, share_option, text_option
from agent_ledger.errors import InvalidPrice
from agent_ledger.ledger import Ledger, reading
from agent_ledger.prices.contract import SOURCE, ContractFile
from agent_ledger.prices.rules import FREE_BASIS, complaints
from agent_ledger.records import PriceRevision

_PER_TOKEN = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_PER_REQUEST = ("web_search", "request")

Command = Callable[..., Any]


def store(ledger: Path, rows: Sequence[PriceRevision]) -> int:
    """Store what the user says about prices, unless it is what the user said last. Returns how many rows are new."""
    ours = [replace(row, priority=ContractFile.priority) for row in rows]
    with reading(ledger) as connection:
        news = pricebook.news(connection, ours)
    if news:
        with Ledger(ledger) as book:
            book.set_prices(news)
    return len(news)


@click.command("set")
@text_option("--model", help="The model as it stands in the ledger; * and ? are wildcards.")
@text_option("--provider", help="Only where this provider runs it.  [default: any]")
@amount_option("--input", help="Per million tokens of input.")
@amount_option("--output", help="Per million tokens of output.")
@amount_option("--cache-read", help="Per million tokens read from the cache.  [default: as input]")
@amount_option("--cache-write", help="Per million tokens written to the cache.  [default: as input]")
@amount_option("--cache-write-1h", help="Per million tokens written for an hour.  [default: as --cache-write]")
@amount_option("--web-search", help="Per web search.  [default: the list price]")
@amount_option("--request", help="Per call.  [default: nothing]")
@share_option("--discount", help="The share that is taken off the list price, instead of prices.")
@click.option("--free", is_flag=True, help="The model costs nothing.")
@text_option("--service-tier", help="Only for this tier: batch, flex, priority, ….  [default: standard]")
@text_option("--region", help="Only in this region.  [default: any]")
@moment_option("--from", "effective_from", help="From when the price holds (UTC).  [default: since ever]")
@moment_option("--to", "effective_to", help="Up to when, exclusively (UTC).  [default: open]")
@click.option("--file", "file", type=file_path(), help="A CSV or JSON file of prices, instead of the options above.")
@click.pass_obj
def set_(ledger: Path, /, file: Path | None, model: str | None, free: bool, **given: Any) -> None:
    """Set what you pay for a model: your prices win over every list price.

    Prices are US dollars per million tokens, fees US dollars per request. They hold for the calls made at that time,
    those recorded already too. Saying the same again changes nothing. For long-context bands, use --file.

    \b
    Examples:
      agent-ledger prices ledger.db set --model claude-sonnet-4-5 --input 2.40 --output 12
      agent-ledger prices ledger.db set --model "gpt-5*" --provider openai --discount 15% --from 2026-01-01
      agent-ledger prices ledger.db set --model llama-on-our-gpu --free
      agent-ledger prices ledger.db set --file contract.csv
    """
    if file is not None:
        if model is not None or free or any(value is not None for value in given.values()):
            raise usage_error("give either --file or a price")
        rows = ContractFile(file).rows()
    elif model is None:
        raise usage_error("give --model and a price, or --file")
    else:
        rows = [_row(model, free, **given)]
    new = store(ledger, rows)
    rest = "" if new == len(rows) else f", {len(rows) - new:,} known already"
    click.echo(f"{output.count(new, 'price')} stored{rest}")


def _row(model: str, free: bool, discount: Decimal | None, **given: Any) -> PriceRevision:
    amounts = {name: given.pop(name) for name in (*_PER_TOKEN, *_PER_REQUEST)}
    if free and (discount is not None or any(amount is not None for amount in amounts.values())):
        raise usage_error("give either --free or a price")
    if free:
        return PriceRevision(model=model, source=SOURCE, basis=FREE_BASIS, input=0, output=0, **given)
    picos: dict[str, Any] = {
        name: None if amount is None else money.picos_per_token(amount) if name in _PER_TOKEN else money.picos(amount)
        for name, amount in amounts.items()
    }
    row = PriceRevision(model=model, source=SOURCE, basis=SOURCE, discount=discount, **picos, **given)
    for complaint in complaints([row]):  # the ledger says it too, in pico-dollars
        value = amounts.get(complaint.field, complaint.value)
        option = complaint.field.removeprefix("effective_").replace("_", "-")
        raise InvalidPrice(f"--{option} is {'not given' if value is None else value}: {complaint.remedy}")
    return row
