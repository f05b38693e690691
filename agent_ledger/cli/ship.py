"""`agent-ledger ship`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click

from agent_ledger import schema, ship_cursors, shipping
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import ledger_argument, text_option
from agent_ledger.ledger import reading
from agent_ledger.shipping import Progress, Shipper

_EVERY_S = 2.0


@click.command()
@ledger_argument
@click.argument("destination", required=False)
@click.option("--follow", is_flag=True, help="Go on for ever, and ship new rows as they are recorded.")
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    help="How often --follow looks.  [default: every 2 seconds]",
)
@text_option("--host-name", help="What this host is called there.  [default: the machine's name]")
@click.option("--status", is_flag=True, help="Only show how far each destination is behind.")
@click.option("--forget", is_flag=True, help="Only forget the destination: nothing is kept for it any more.")
@click.option(
    "--as-new", is_flag=True, help="Ship everything, as of another host: for a copy, or a file from a backup."
)
@click.option("--quiet", is_flag=True, help="No progress.")
@output.form_options
def ship(
    ledger: Path,
    destination: str | None,
    follow: bool,
    every: float | None,
    host_name: str | None,
    status: bool,
    forget: bool,
    as_new: bool,
    quiet: bool,
    form: str | None,
) -> None:
    """Bring the rows of a ledger to another engine, where those of many hosts stand together.

    DESTINATION is postgresql://USER@HOST/DATABASE, clickhouse://USER@HOST/DATABASE (?cluster=NAME, ?secure=true), the
    path of a folder of Parquet files, the path of a file ending in .jsonl, or what a plugin takes. Passwords
    are best left to PGPASSWORD, ~/.pgpass or CLICKHOUSE_PASSWORD.

    It may be killed at any moment and started again: how far the destination has got stands in the ledger. Where the
    destination is down nothing is lost, recording goes on, and rows are not archived before they are shipped.

    \b
    Examples:
      agent-ledger ship ledger.db postgresql://ledger@db.example.com/costs --follow
      agent-ledger ship ledger.db /data/ledger-parquet
      agent-ledger ship ledger.db --status
    """
    if status:
        with reading(ledger) as connection:
            rows = ship_cursors.lag(connection)
        output.show(rows, ("sink", "source", "shipped", "behind", "shipped_at"), form, empty="nothing was shipped yet")
        return
    if destination is None:
        raise usage_error("say where to: a destination such as postgresql://HOST/DATABASE, or a folder")
    if every is not None and not follow:
        raise usage_error("--every goes with --follow")
    if forget:
        _forget(ledger, destination)
        return
    with Shipper(ledger, destination, host_name=host_name, anew=as_new) as shipper:
        rows_shipped = shipping.keep_shipping(
            shipper,
            every=(every or _EVERY_S) if follow else None,
            say=lambda text: click.echo(output.plain(text), err=True),
            advance=_progress(quiet=quiet),
        )
        click.echo(f"{output.count(rows_shipped, 'row')} shipped to {output.plain(shipper.address)}")


def _forget(ledger: Path, destination: str) -> None:
    address = shipping.sink_for(destination).address(destination)
    with closing(schema.open_for_reading(ledger)):
        pass
    with closing(schema.open_for_writing(ledger, synchronous="full")) as connection:
        known = ship_cursors.forget(connection, address)
    click.echo(output.plain(f"{address} is forgotten" if known else f"{address} was not known: nothing to forget"))


def _progress(*, quiet: bool) -> Callable[[Progress], None]:
    """Says after each batch how much there is to do, on a terminal in one line."""
    if quiet:
        return lambda _: None
    person = sys.stderr.isatty()

    def show(step: Progress) -> None:
        text = f"{step.table}: {output.count(step.rows, 'row')} shipped, {step.behind:,} behind"
        click.echo(f"\r\x1b[K{text}" if person else text, err=True, nl=not person or not step.behind)

    return show
