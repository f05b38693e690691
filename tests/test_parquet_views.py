"""A folder of Parquet files answers like the ledger that was shipped there."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from old_rows import past
from support import query

from agent_ledger import Ledger, dialects
from agent_ledger.cli import cli
from agent_ledger.shipping import Shipper

pytest.importorskip("sqlglot")
pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")


@pytest.mark.usefixtures("no_sources")
def test_what_is_printed_makes_the_views_and_the_folder_can_be_asked(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, calls=60)
    folder = tmp_path / "it's out"
    with Shipper(ledger.path, f"{folder}/") as shipper:
        shipper.ship()
    printed = CliRunner().invoke(cli, ["views", str(folder), "--dialect", "duckdb"], catch_exceptions=False)
    with duckdb.connect() as connection:
        connection.execute(printed.stdout)
        found = connection.execute("select agent_id, calls, unpriced_calls from cost_by_agent order by 1").fetchall()
        for view in ("all_in_by_request", "reconciliation", "coverage"):
            connection.execute(f"select * from {view}").fetchall()
    assert found == query(ledger, "select agent_id, calls, unpriced_calls from cost_by_agent order by 1")
    here, there = (
        CliRunner().invoke(cli, ["report", str(place), "--by", "agent", "--all-in", "--json"], catch_exceptions=False)
        for place in (ledger.path, folder)
    )
    assert there.stdout == here.stdout


def test_other_dialects_print_the_views_alone(tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli, ["views", str(tmp_path), "--dialect", "postgres"], catch_exceptions=False)
    assert printed.stdout.count("create or replace view") == len(dialects.views("postgres"))


def test_a_folder_without_a_ledger_says_so(tmp_path: Path) -> None:
    for arguments in (["views", str(tmp_path), "--dialect", "duckdb"], ["rows", str(tmp_path), "coverage"]):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 2
        assert "has no ledger" in done.stderr
