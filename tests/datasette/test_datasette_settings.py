"""What Datasette is told of a ledger's tables and views, and what it is kept from."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from datasette_agent_ledger import documentation
from datasette_server import Server, shown

pytestmark = pytest.mark.filterwarnings("ignore")  # Datasette's own


def test_every_view_and_every_column_of_a_view_is_described(ledger_file: Path) -> None:
    with closing(sqlite3.connect(ledger_file)) as connection:
        for name, sql in connection.execute("select name, sql from sqlite_schema where type = 'view'").fetchall():
            found = documentation.of_view(sql)
            assert found is not None, name
            columns = [row[1] for row in connection.execute(f"pragma table_info({name})")]
            assert list(found.columns) == columns, name
            assert "Grain:" in found.description


def test_a_table_is_described_by_its_comments() -> None:
    found = documentation.of_table(
        "create table t (\n  -- What happened,\n  -- and when.\n"
        "  id integer primary key,  -- the row\n  ts text not null  -- when\n) strict"
    )
    assert found == documentation.Meaning("What happened, and when.", {"id": "The row", "ts": "When"})
    assert documentation.of_table("create table t (x)") is None
    assert documentation.of_view("create view v as select 1") is None


def test_pages_of_views_show_what_they_mean(ledger_file: Path, serve: Callable[..., Server]) -> None:
    page = serve(ledger_file).get("/ledger/cost_by_agent").text
    assert "Which agent spent the money? LLM calls only." in page
    assert "US dollars, without the unpriced calls. NULL: all are unpriced" in page
    assert "_sort=calls" in page or "_sort_desc=calls" in page, "columns of a view can be sorted by"


def test_what_was_spent_most_stands_first(ledger_file: Path, serve: Callable[..., Server]) -> None:
    server = serve(ledger_file)
    amounts = [row["cost_usd"] for row in server.get("/ledger/cost_by_agent.json?_shape=array").json()]
    assert amounts == sorted(amounts, reverse=True)
    ascending = [row["cost_usd"] for row in server.get("/ledger/cost_by_agent.json?_shape=array&_sort=cost_usd").json()]
    assert ascending == amounts[::-1]


def test_foreign_keys_have_labels(ledger_file: Path, serve: Callable[..., Server]) -> None:
    page = shown(serve(ledger_file).get("/ledger/charge").text)
    assert ">first</a>" in page, "a charge's delivery by its name"


def test_facets_stand_where_there_are_few_rows(ledger_file: Path, serve: Callable[..., Server]) -> None:
    page = shown(serve(ledger_file).get("/ledger/unallocated_charge").text)
    assert "facet-reason" in page


def test_the_servers_own_configuration_goes_before(ledger_file: Path, serve: Callable[..., Server]) -> None:
    own = {"databases": {"ledger": {"tables": {"cost_by_agent": {"sort": "cost_usd"}}}}}
    server = serve(ledger_file, config=own)
    amounts = [row["cost_usd"] for row in server.get("/ledger/cost_by_agent.json?_shape=array").json()]
    assert amounts == sorted(amounts)


def test_nothing_is_suggested_or_counted_where_it_costs(ledger_file: Path, serve: Callable[..., Server]) -> None:
    server = serve(ledger_file)
    assert "suggested-facets" not in server.get("/ledger/call_cost").text
    assert "suggested-facets" not in server.get("/ledger/ledger").text
    asked = server.get("/ledger/ledger?_facet=model")
    assert asked.status_code == 200
    assert "facet-model" in asked.text
    few = server.get("/ledger/cost_by_agent.json?_extra=count").json()
    assert few.get("count", few.get("filtered_table_rows_count")) == 2
