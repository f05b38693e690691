"""The views on other engines: which there are, and that they are the views without rollups."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlglot")

from agent_ledger import dialects, schema
from agent_ledger.dialects import translation
from agent_ledger.dialects.rollups import ROLLUPS


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_every_canonical_view_is_there_or_left_out_by_name(dialect: str) -> None:
    found = dialects.views(dialect)
    assert set(found) | set(dialects.LEFT_OUT) == set(schema.scripts("views")) | set(schema.scripts("far"))
    assert not set(found) & set(dialects.LEFT_OUT)


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_a_view_reads_only_tables_that_are_shipped_and_views_before_it(dialect: str) -> None:
    known = set(dialects.tables())
    assert not known & ROLLUPS
    for name, body in dialects.views(dialect).items():
        assert not any(f" {rollup} " in body for rollup in ROLLUPS), name
        known.add(name)


def test_one_dialect_does_not_change_what_another_says() -> None:
    """The process that asks is not the first to ask, or asks for two."""
    first = dialects.views("postgres")
    translation.view.cache_clear()
    dialects.views("duckdb")
    assert dialects.views("postgres") == first


def test_of_what_is_wanted_there_is_that_and_what_it_reads() -> None:
    found = set(dialects.views("duckdb", ["cost_by_agent", "archived"]))
    assert {"cost_by_agent", "usage", "superseded_call"} <= found
    assert not found & {"cost_by_team", "monthly_figure", "tool_cost", "archived"}
    assert "ledger" in dialects.tables(["cost_by_agent"])
    assert dialects.tables(["unit"]) == {"unit"}


def test_there_is_no_other_dialect() -> None:
    with pytest.raises(KeyError, match="mysql"):
        dialects.views("mysql")
