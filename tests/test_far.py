"""Reading at an address: the same commands say the same as of the file that was shipped there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("sqlglot")

from engines import ClickHouse, fill, postgres_server
from everything import everything, not_compacted

from agent_ledger import Ledger, LedgerError, dialects, exporting, far, plugins, reporting
from agent_ledger.cli import cli
from agent_ledger.far import Address, Far
from agent_ledger.shipping import Shipper


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("far") / "ledger.db"
    with pytest.MonkeyPatch.context() as patch, Ledger(file) as ledger:
        patch.setattr(plugins, "price_sources", list)
        everything(ledger)
    return not_compacted(file)


@pytest.fixture(scope="module")
def address(path: Path) -> Iterator[str]:
    """The address of a PostgreSQL that the ledger was shipped to."""
    with postgres_server() as uri:
        with Shipper(path, uri) as shipper:
            shipper.ship()
        yield uri


def said(*arguments: str) -> Any:
    done = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert done.exit_code in (0, 1), done.output
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *(["report", "--by", by, "--json"] for by in (*reporting.AXES, "tool")),
        *(["report", "--by", by, "--all-in", "--json"] for by in ("agent", "customer", "month")),
        ["report", "--by", "agent", "--all-in", "--month", "2026-01", "--json"],
        ["report", "--by", "day", "--since", "2026-01-15T11:00:00Z", "--until", "2026-01-20", "--json"],
        ["report", "--by", "agent"],
        ["reconcile", "--month", "2026-01", "--json"],
        ["export", "focus"],
        ["export", "csv", "coverage"],
        ["rows", "unpriced_calls", "--json"],
        ["rows", "cost_by_agent", "--where", "agent_id=a", "--csv"],
    ],
    ids=" ".join,
)
def test_a_command_says_the_same_of_an_address(path: Path, address: str, command: list[str]) -> None:
    name, *rest = command
    shown = str(Address(address))
    here, there = said(name, str(path), *rest), said(name, address, *rest)
    if "--json" in rest:
        assert _close(json.loads(there)) == _close(json.loads(here))
    else:
        assert there.replace(shown, "X").replace(" rows X unpriced_calls", " check X") == here.replace(str(path), "X")


def _close(value: Any) -> Any:
    """Doubles to twelve digits."""
    if isinstance(value, list):
        return [_close(one) for one in value]
    if isinstance(value, dict):
        return {key: _close(one) for key, one in value.items()}
    return f"{value:.12g}" if isinstance(value, float) else value


@pytest.mark.parametrize(
    "options",
    [["--as-of", "2026-01-01"], ["--reprice", "m=n"], ["--as-closed", "--month", "2026-01"], ["--tz", "Europe/Berlin"]],
    ids=lambda options: options[0],
)
def test_what_only_a_file_can_answer_is_said_in_one_sentence(options: list[str]) -> None:
    by = "day" if options[0] == "--tz" else "agent"
    done = CliRunner().invoke(cli, ["report", "postgresql://me:secret@127.0.0.1:1/x", "--by", by, *options])
    assert done.exit_code == 2
    assert f"{options[0]} takes the ledger file of a host" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("scheme", ["postgresql", "clickhouse"])
def test_an_address_where_nobody_answers_is_one_sentence_without_the_password(scheme: str) -> None:
    done = CliRunner().invoke(cli, ["rows", f"{scheme}://me:s%40cret@127.0.0.1:1/x", "coverage"])
    assert done.exit_code == 1
    assert f"{scheme}://127.0.0.1:1/x can't be opened" in done.stderr
    assert "s@cret" not in done.stderr
    assert "s%40cret" not in done.stderr


def test_a_database_without_a_ledger_says_so() -> None:
    with postgres_server() as uri:
        done = CliRunner().invoke(cli, ["rows", uri, "coverage"])
    assert done.exit_code == 2
    assert "has no ledger: agent-ledger ship LEDGER" in done.stderr


def test_a_view_that_is_not_there_is_named(address: str) -> None:
    done = CliRunner().invoke(cli, ["rows", address, "nonsense"])
    assert "there is no view or table 'nonsense'" in done.stderr


def test_nothing_is_written(address: str) -> None:
    with far.reading(Address(address)) as there, pytest.raises(LedgerError, match="only read"):
        there.execute("delete from ledger")


def test_clickhouse_gives_the_same_reports(path: Path) -> None:
    """The statements of the reports, on the engine that chdb embeds."""
    session = pytest.importorskip("chdb.session").Session()
    engine = ClickHouse(session, "far")
    fill(engine, path)

    def run(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        rows = engine.rows(sql)
        return list(rows[0]) if rows else [], [tuple(row.values()) for row in rows]

    there = Far("clickhouse", "clickhouse://here", run)
    period = {"since": "2026-01-01T00:00:00.000Z", "until": "2026-02-01T00:00:00.000Z"}
    with closing(sqlite3.connect(path)) as here:
        for by in ("agent", "customer", "month"):
            for given in ({}, period):
                assert _close(reporting.report(there, by, **given)) == _close(reporting.report(here, by, **given))
        assert _close(reporting.total(there, all_in=True)) == _close(reporting.total(here, all_in=True))
        assert list(exporting.focus(there).rows) == list(exporting.focus(here).rows)
        assert exporting.missing(there) == exporting.missing(here)


def test_text_can_hold_anything() -> None:
    for dialect in dialects.DIALECTS:
        sql = dialects.statement(dialect, "select calls from cost_by_agent where agent_id = ?", ['it\'s \\ "so"'])
        assert sql is not None
        assert "it''s" in sql
