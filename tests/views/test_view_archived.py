"""The view archived: which files there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from old_rows import archive, past
from support import query

from agent_ledger import Ledger


@pytest.mark.usefixtures("no_sources")
def test_one_row_for_each_file(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, 60)
    assert ledger.rows("archived") == []
    there = query(ledger, "select count(*) from ledger")[0][0]
    done = archive(ledger, tmp_path / "archive")
    found = ledger.rows("archived", source="ledger")
    assert sum(row["rows"] for row in ledger.rows("archived")) == done.rows
    assert sum(row["rows"] for row in found) == there - query(ledger, "select count(*) from ledger")[0][0]
    assert [row["since"][:10] for row in found] == ["2026-01-01", "2026-02-01"]
    assert [row["until"][:10] for row in found] == ["2026-02-01", "2026-03-01"]
    for row in found:
        path = ledger.path.parent / row["path"]
        assert path.stat().st_size == row["bytes"]
        assert row["since"] <= row["first_ts"] <= row["last_ts"] < row["until"]
        assert 0 < row["counted"] <= row["rows"]
