"""`agent-ledger import`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from agent_ledger import pricebook
from agent_ledger.cli import output
from agent_ledger.cli.errors import PROBLEM, Interrupted
from agent_ledger.cli.options import (
    file_path,
    format_argument,
    importers,
    ledger_argument,
    moment_option,
    text_option,
)
from agent_ledger.cli.progress import progress
from agent_ledger.errors import ImportFailed, LedgerError
from agent_ledger.hookspecs import Defaults, Importer
from agent_ledger.importing import Imported
from agent_ledger.ledger import Ledger, reading
from agent_ledger.records import Row

_SHOWN = 20


@dataclass(slots=True)
class _Outcome:
    """What became of an import."""

    imported: list[Imported] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)  # file, reason

    def refused(self) -> list[Row]:
        return [
            {"file": str(one.file), "line": refused.line, "reason": refused.reason}
            for one in self.imported
            for refused in one.refused
        ]


class _ImportCommand(click.Command):
    """Lists the formats below its help, those of plugins too."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Formats"):
            formatter.write_dl([(name, importer.summary) for name, importer in sorted(importers().items())])


@click.command("import", cls=_ImportCommand)
@ledger_argument
@format_argument
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=file_path())
@click.option("--agent-id", help="The agent, where the file does not name it.")
@click.option("--customer-id", help="The customer, where the file does not name it.")
@click.option("--feature", help="The feature, where the file does not name it.")
@click.option("--session-id", help="The session, where the file does not name it.")
@click.option("--provider", help="Who runs the models, where the file does not say.")
@click.option("--model", help="The model, where a response does not name it (Bedrock Converse).")
@moment_option("--ts", help="When the calls were made, where the file does not say.")
@text_option("--delivery", help="A name for the delivery of a bill, all files together.  [default: its content]")
@text_option(
    "--cost-measure",
    help="Which cost of a bill's lines counts: billed, net_unblended, effective, …; one for the whole ledger."
    "  [default: billed]",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
@output.json_option
@click.pass_context
def import_(
    ctx: click.Context,
    /,
    ledger: Path,
    importer: Importer,
    paths: Sequence[Path],
    quiet: bool,
    form: str | None,
    **defaults: Any,
) -> None:
    """Import calls from logs and recorded responses, and bills.

    FILE may be a folder: all files in it that have the format are taken. Importing a file again adds nothing. Each file
    comes in completely or not at all; a record that can't be read is refused, named with its line, and the others go
    on. The exit code is 1 if anything was refused. The ledger file is made where there is none.

    The files of a bill that are in one folder are the parts of one delivery and come in together. A later delivery of
    the same bill and month counts instead of the earlier one, so import two versions of a bill from two folders or with
    two commands.

    \b
    Examples:
      agent-ledger import ledger.db claude-code ~/.claude/projects
      agent-ledger import ledger.db responses responses.jsonl --agent-id support-bot
      agent-ledger import ledger.db cur s3-download/20261001-20261101
    """
    outcome = _Outcome()
    files = _expanded(importer, paths, outcome)
    if files:
        _import(ledger, importer, files, Defaults(**defaults), quiet, outcome)
    refused, models = outcome.refused(), _models(ledger) if files else {}
    if form == "json":
        output.show_json(_as_json(outcome, refused, models))
    else:
        _tell(ledger, outcome, refused, models)
    if outcome.failed or refused:
        ctx.exit(PROBLEM)


def _expanded(importer: Importer, paths: Sequence[Path], outcome: _Outcome) -> list[Path]:
    files: dict[Path, None] = {}  # each once, in the order given
    for path in paths:
        try:
            files |= dict.fromkeys(importer.files(path))
        except ImportFailed as error:
            outcome.failed.append({"file": str(path), "reason": str(error)})
    return list(files)


def _import(
    ledger: Path, importer: Importer, files: Sequence[Path], defaults: Defaults, quiet: bool, outcome: _Outcome
) -> None:
    try:
        size = sum(file.stat().st_size for file in files if file.is_file())
        with Ledger(ledger) as book, progress("importing", size, quiet=quiet) as advance:
            for together in _deliveries(importer, files, defaults):
                where = together[0] if len(together) == 1 else together[0].parent
                try:
                    outcome.imported += book.import_files(importer, together, defaults, advance)
                except ImportFailed as error:
                    outcome.failed.append({"file": str(where), "reason": str(error)})
                except (LedgerError, sqlite3.Error):
                    raise  # the ledger is in trouble, not the file
                except Exception as error:  # an importer may be somebody else's code
                    outcome.failed.append({"file": str(where), "reason": _broken(where, importer, error)})
    except KeyboardInterrupt:
        done = output.count(len(outcome.imported), "file")
        raise Interrupted(
            f"interrupted after {done}: nothing of the current file was stored, import again to go on"
        ) from None


def _deliveries(importer: Importer, files: Sequence[Path], defaults: Defaults) -> list[list[Path]]:
    """The files that come in together."""
    if not getattr(importer, "is_bill", False):
        return [[file] for file in files]
    if defaults.delivery is not None:
        return [list(files)]
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.absolute().parent, []).append(file)
    return list(folders.values())


def _broken(file: Path, importer: Importer, error: Exception) -> str:
    what = f"{type(error).__name__}: {error}"
    return f"{file} can't be read by the importer {importer.name} ({what}): report this to its author"


def _models(ledger: Path) -> dict[str, int]:
    """How many models of the ledger have a price in force, and how many have none."""
    with reading(ledger) as connection:
        every = {(key.provider, key.model) for key in pricebook.keys(connection)}
        found = connection.execute("select distinct provider, model from rate")
        priced = every & {(row["provider"], row["model"]) for row in found}
    return {"priced_models": len(priced), "unpriced_models": len(every) - len(priced)}


def _as_json(outcome: _Outcome, refused: list[Row], models: dict[str, int]) -> Row:
    done = outcome.imported
    return {
        "files": [
            {
                "file": str(one.file),
                "read": one.read,
                "added": one.added,
                "already_there": one.already_there,
                "archived": one.archived,
                "refused": len(one.refused),
            }
            for one in done
        ],
        "read": sum(one.read for one in done),
        "added": sum(one.added for one in done),
        "already_there": sum(one.already_there for one in done),
        "archived": sum(one.archived for one in done),
        "refused": refused,
        "failed": outcome.failed,
        **models,
    }


def _tell(ledger: Path, outcome: _Outcome, refused: list[Row], models: dict[str, int]) -> None:
    done = outcome.imported
    archived = sum(one.archived for one in done)
    click.echo(
        f"{output.count(len(done), 'file')} imported: {output.count(sum(one.read for one in done), 'record')} read, "
        f"{sum(one.added for one in done):,} added, {sum(one.already_there for one in done):,} already there"
        f"{f' ({archived:,} of them archived)' if archived else ''}, "
        f"{len(refused):,} refused"
    )
    if models:
        click.echo(_prices(ledger, **models))
    for one in refused[:_SHOWN]:
        line = "" if one["line"] is None else f":{one['line']}"
        click.echo(output.plain(f"{one['file']}{line}: {one['reason']}"), err=True)
    if len(refused) > _SHOWN:
        click.echo(f"and {len(refused) - _SHOWN:,} more; --json names all", err=True)
    for one in outcome.failed:
        click.echo(output.plain(f"Error: {one['reason']}"), err=True)


def _prices(ledger: Path, priced_models: int, unpriced_models: int) -> str:
    known = f"{output.count(priced_models, 'model')} with a price"
    if not unpriced_models:
        return known
    return output.plain(f"{known}, {unpriced_models:,} without: agent-ledger check {ledger} says why")
