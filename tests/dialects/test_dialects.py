"""The views on other engines: which there are, and that they are the views without rollups."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlglot")

from agent_ledger import dialects, schema
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


def test_there_is_no_other_dialect() -> None:
    with pytest.raises(KeyError, match="mysql"):
        dialects.views("mysql")
