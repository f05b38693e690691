"""`agent-ledger compact`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import click

from agent_ledger import archiving, compacting, schema
from agent_ledger.cli import output
from agent_ledger.cli.options import file_path, ledger_argument
from agent_ledger.cli.progress import progress
from agent_ledger.ledger import Ledger, reading

_VACUUM_FROM = 10_000_000  # bytes


@click.command()
@ledger_argument
@click.option("--archive", "folder", metavar="DIR", type=file_path(), help="Move old rows to Parquet files there.")
@click.option("--before", metavar="DATE", help="Which rows are old: those before this UTC day. Goes with --archive.")
@click.option("--vacuum", is_flag=True, help="Give free space back to the file system. Nobody can write meanwhile.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def compact(ledger: Path, folder: Path | None, before: str | None, vacuum: bool, quiet: bool) -> None:
    """Add new calls to the sums that the views read, so that they stay fast in a large ledger.

    The library does it by itself as calls are recorded; do it after rows came in by other ways, or from cron. Figures
    are the same before, during and after; others may write meanwhile. It may be stopped at any time and goes on where
    it was.

    With --archive, old rows that are summed move to Parquet files: each is read back and compared before its rows leave
    the ledger. Sums stay as they are, and `show` finds a request there. Keep the files: the rows are nowhere else.

    \b
    Examples:
      agent-ledger compact ledger.db
      agent-ledger compact ledger.db --archive archive --before 2026-07-01
    """
    if (folder is None) != (before is None):
        raise click.UsageError("--archive and --before go together: give both, or none of them")
    with closing(schema.open_for_reading(ledger)):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger) as book:
        with reading(ledger) as connection:
            rolled, recorded = compacting.reach(connection)
        with progress("compacting", recorded - rolled, quiet=quiet) as advance:
            rows = book.compact(advance=advance)
    click.echo(f"{output.count(rows, 'call')} compacted" if rows else "nothing to compact")
    with closing(schema.open_for_writing(ledger, synchronous="full")) as connection:
        if folder is not None:
            _archive(connection, ledger, folder, before, quiet=quiet)
        if vacuum:
            archiving.vacuum(connection)


def _archive(connection: sqlite3.Connection, ledger: Path, folder: Path, before: object, *, quiet: bool) -> None:
    (length,) = connection.execute("select max(id) - min(id) + 1 from ledger").fetchone()
    with progress("archiving", length or 0, quiet=quiet) as advance:
        done = archiving.archive(connection, folder, before, advance)
    click.echo(f"{output.count(done.rows, 'row')} archived in {output.count(len(done.files), 'file')} of {folder}")
    if done.left:
        click.echo(
            f"{output.count(done.left, 'row')} had to stay: tool calls with a cost or a resource, their LLM calls, "
            "and what no sum holds"
        )
    if done.open_months:
        click.echo(f"not closed yet: {', '.join(done.open_months)}")
    if done.free_bytes >= _VACUUM_FROM:
        click.echo(
            f"{done.free_bytes / 1e6:,.0f} MB of {output.plain(str(ledger))} are free for new rows; "
            "--vacuum gives them back to the file system"
        )
