"""The SQL of the pages: what each file says of itself is true."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from datasette_agent_ledger import links, statements
from datasette_agent_ledger.statements import statement

FOLDER = Path(statements.__file__).parent / "sql"
NAMES = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.sql"))
BUDGETS = {"budget_status", "directive_in_force", "budget_exception", "control_event"}
VALUES = {
    "since": "2026-01-01", "until": "2026-02-01", "before": "2025-12-01", "recent_since": "2026-01-01", "grain": "day",
    "calendar": "{}", "key": "a", "scope": "agent", "request_id": "r1", "month": "2026-01", "agent_id": "a",
    "customer_id": "acme", "team": "risk", "day": "2026-01-15", "model": "m",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_what_the_statement_reads(name: str) -> None:
    found = statement(name)
    sql = re.sub(r"--.*|'[^']*'", "", found.sql)
    own = set(re.findall(r"(?:with|,)\s+(\w+) as (?:materialized )?\(", sql)) | {"json_each"}
    assert sorted(found.reads) == sorted(set(re.findall(r"\b(?:from|join)\s+(\w+)", sql)) - own), name
    assert found.title
    assert not found.title.endswith(".")
    assert set(found.parameters) <= set(VALUES), name
    assert not re.search(r":\w", "".join(re.findall(r"'([^']*)'", found.sql))), (
        "Datasette would take it for a parameter"
    )
    text = (FOLDER / f"{name}.sql").read_text("utf-8")
    assert text.endswith("\n")
    assert "\t" not in text
    assert max(map(len, text.splitlines())) <= 140


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_runs_on_its_own_for_every_axis(ledger_file: Path, name: str) -> None:
    found = statement(name)
    with closing(sqlite3.connect(f"{ledger_file.as_uri()}?mode=ro", uri=True)) as connection:
        views = {row[0] for row in connection.execute("select name from sqlite_schema")}
        if BUDGETS & set(found.reads) - views:
            pytest.skip("this ledger has no budgets")
        for axis in links.AXES:
            if axis == "model" and {"all_in_part", "tool_usage_cost"} & set(found.reads) and "{key}" in found.sql:
                continue  # a tool call has none
            for other in links.AXES:
                one = found.by(axis, other)
                assert "{" not in one.sql.replace("'{}'", ""), name
                assert set(one.shows) <= views | {"all_in_by_model"}, one.shows
                connection.execute(one.sql, {key: VALUES[key] for key in one.parameters}).fetchall()


def test_parameters_are_told_from_text_and_comments() -> None:
    found = statements.Statement("n", "t", "", (), (), "select :a, ':b', /* :c */ 'it''s :d', :e -- :f\n, :a")
    assert found.parameters == ("a", "e")
