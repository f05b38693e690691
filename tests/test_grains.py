"""From sums by hour, and by day and customer, to every coarser grain."""

from __future__ import annotations

import sqlite3

from agent_ledger import grains
from agent_ledger.grains import Group, Place, Table

PLAIN = Place(1, 9, "", "")
PRICED = Place(1, 9, "2026-02-10T09:30:00.000Z", "2026-02-03T00:00:00.000Z")


def test_a_cut_stands_only_where_something_changes_within_the_bucket() -> None:
    assert PLAIN.cut("2026-02") == ""
    assert [PRICED.cut(bucket) for bucket in ("2026-02", "2026-02-10", "2026-02-10T09")] == [PRICED.price_cut] * 3
    assert [PRICED.cut(bucket) for bucket in ("2026-02-11", "2026-02-10T10", "2026-03")] == [""] * 3
    assert Place(1, 9, "", "2026-02-10T00:00:00.000Z").cut("2026-02-10") == "", "it begins with it"
    assert Place(1, 9, "2026-02-04T00:00:00.000Z", "2026-02-20T00:00:00.000Z").together() == Place(
        9, 9, "2026-02-04T00:00:00.000Z", ""
    ), "whose the calls are makes no difference to all agents together"


def test_every_grain_holds_every_call_once() -> None:
    hours = [
        Group(PLAIN, "2026-02-10T09", (), {"": [2, 20]}),
        Group(PLAIN, "2026-02-10T10", (), {"": [1, 5]}),
        Group(Place(2, 9, "", ""), "2026-02-11T00", (), {"": [1, 1]}),
    ]
    customers = [
        Group(PLAIN, "2026-02-10", (), {"acme": [2, 20], "zeta": [1, 5]}),
        Group(Place(2, 9, "", ""), "2026-02-11", (), {"acme": [1, 1]}),
    ]
    found = dict(grains.spread(hours, customers, grains.ALL))
    rows = {grain: grains.rows([(grain, found[grain])], 2) for grain in grains.ALL}
    assert rows["day"] == [("day", 1, "2026-02-10", "", "", 3, 25), ("day", 2, "2026-02-11", "", "", 1, 1)]
    assert rows["month"] == [("month", 1, "2026-02", "", "", 3, 25), ("month", 2, "2026-02", "", "", 1, 1)]
    assert rows["customer_month"] == [
        ("customer_month", 9, "2026-02", "", "acme", 3, 21),
        ("customer_month", 9, "2026-02", "", "zeta", 1, 5),
    ]
    for grain in grains.ALL:
        assert (sum(row[-2] for row in rows[grain]), sum(row[-1] for row in rows[grain])) == (4, 26), grain
    assert [group.customers for group in customers] == [{"acme": [2, 20], "zeta": [1, 5]}, {"acme": [1, 1]}]
    assert set(dict(grains.spread(hours, customers, ["day"]))) == {"day"}


def test_rows_of_one_place_in_the_bucket_come_together() -> None:
    """Two prices since before the day: two places, one row of the day, two of the month."""
    earlier = Place(1, 9, "2026-02-03T00:00:00.000Z", "")
    parts = [Group(place, "2026-02-10", ("images",), {"": [3]}) for place in (PLAIN, earlier)]
    assert grains.rows([("day", parts)], 1) == [("day", 1, "2026-02-10", "", "", "images", 6)]
    months = grains.coarser(parts, "month")
    assert grains.rows([("month", months)], 2) == [
        ("month", 1, "2026-02", "", "", "images", 3, None),
        ("month", 1, "2026-02", earlier.price_cut, "", "images", 3, None),
    ]


def test_rows_are_added_to_those_that_are_there() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(
        "create table t (grain, key_id, bucket, cut, customer_id, n, last_ts,"
        " primary key (grain, key_id, bucket, cut, customer_id))"
    )
    table = Table("t", ("customer_id",), ("n", "last_ts"), {"last_ts": "max(last_ts, excluded.last_ts)"})
    for rows in ([("day", 1, "d", "", "", 2, "a")], [("day", 1, "d", "", "", 3, "b"), ("day", 2, "d", "", "", 1, "c")]):
        table.put(connection, rows)
        table.merge(connection)
    assert connection.execute("select key_id, n, last_ts from t order by 1").fetchall() == [(1, 5, "b"), (2, 1, "c")]
