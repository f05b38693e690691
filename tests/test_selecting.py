"""Rows that know their columns."""

from __future__ import annotations

from agent_ledger.selecting import Rows


def test_a_row_is_a_tuple_and_a_dict() -> None:
    found = Rows(("a", "b"), [(1, "x"), (2, None)])
    first = found.fetchone()
    assert first == (1, "x")
    assert dict(first or ()) == {"a": 1, "b": "x"}
    assert first is not None
    assert first["b"] == "x"
    assert [column[0] for column in found.description] == ["a", "b"]
    assert [dict(row) for row in found] == [{"a": 2, "b": None}]
    assert found.fetchone() is None
    assert Rows().fetchall() == []
