"""The same facts give the same figures on SQLite, PostgreSQL, ClickHouse and DuckDB: every row of every view."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlglot")

from engines import ClickHouse, DuckDB, Elsewhere, Postgres, fill, postgres_server
from everything import everything, not_compacted
from old_rows import past
from same_rows import assert_same_rows

from agent_ledger import Ledger, dialects, plugins

DEMO = Path(__file__).resolve().parents[2] / "demo.db"
SEED = """
SELECT agent_id, SUM(prompt_tokens * input_price + completion_tokens * output_price)
FROM ledger JOIN price ON ledger.model = price.model GROUP BY agent_id
"""


@pytest.fixture(scope="module", params=dialects.DIALECTS)
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes engines of one kind, empty ones."""
    made: list[Elsewhere] = []
    if request.param == "postgres":
        with postgres_server() as uri:
            yield lambda name: made.append(Postgres(uri, name)) or made[-1]
            for one in made:
                one.close()
    elif request.param == "clickhouse":
        session = pytest.importorskip("chdb.session").Session()
        yield lambda name: ClickHouse(session, name)
        session.close()
    else:
        pytest.importorskip("duckdb")
        yield lambda _: made.append(DuckDB()) or made[-1]
        for one in made:
            one.close()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with all that the views tell apart, not compacted."""
    path = tmp_path_factory.mktemp("generated") / "ledger.db"
    with pytest.MonkeyPatch.context() as patch, Ledger(path) as ledger:
        patch.setattr(plugins, "price_sources", list)
        past(ledger, calls=120)
        everything(ledger)
    return not_compacted(path)


def _rows(path: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


@pytest.mark.slow
def test_every_row_of_every_view_is_the_same(engine: Any, generated: Path) -> None:
    elsewhere: Elsewhere = engine("generated")
    fill(elsewhere, generated)
    for view in dialects.views(elsewhere.dialect):
        wanted = _rows(generated, f"select * from {view}")
        assert wanted, f"the ledger of this test must fill {view}"
        assert_same_rows(elsewhere.rows(f"select * from {view}"), wanted, f"{view} on {elsewhere.dialect}")
    assert _spent(elsewhere.rows(SEED)) == pytest.approx(_spent(_rows(generated, SEED)), rel=1e-12)


@pytest.mark.slow
def test_the_demo_costs_the_same(engine: Any) -> None:
    """Compacted here, every call by itself there: what both add up to is the same."""
    elsewhere: Elsewhere = engine("demo")
    fill(elsewhere, DEMO)
    for view in ("cost_by_agent", "all_in_by_customer", "reconciliation", "coverage"):
        wanted = _rows(DEMO, f"select * from {view}")
        assert_same_rows(elsewhere.rows(f"select * from {view}"), wanted, f"{view} of the demo on {elsewhere.dialect}")
    assert _spent(elsewhere.rows(SEED)) == pytest.approx(_spent(_rows(DEMO, SEED)), rel=1e-12)


def _spent(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What the statement of the contract finds, verbatim on every engine; each names its second column by itself."""
    return dict(tuple(row.values()) for row in rows)
