"""Reports over rollups are reports over calls, for any period and calendar."""

from __future__ import annotations

import random
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import call, price, query, tool_call

from agent_ledger import Ledger, reporting, summing
from agent_ledger.ledger import reading

BOUNDS = [
    *("2026-01-01T00:00:00.000Z", "2026-01-31T23:00:00.000Z", "2026-02-01T00:00:00.000Z", "2026-02-03T00:00:00.000Z"),
    *("2026-02-03T07:00:00.000Z", "2026-02-03T07:31:17.000Z", "2026-02-28T18:30:00.000Z", "2026-03-20T00:00:00.000Z"),
]
START = datetime(2026, 1, 1, tzinfo=UTC)
REPORTS = [*((axis, False) for axis in (*reporting.AXES, "tool")), *((axis, True) for axis in reporting.ALL_IN_AXES)]
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same calls and tool calls in two ledgers, one of them compacted but for the last of them."""
    rng = random.Random(4)
    calls = [
        call(
            request_id=f"r{number}",
            ts=START + timedelta(minutes=rng.randrange(88 * 24 * 60)),
            agent_id=f"a{rng.randrange(3)}",
            customer_id=rng.choice([None, "acme"]),
            usage=rng.choice([None, None, None, {"seconds": 1.25}]),
        )
        for number in range(600)
    ]
    tools = [
        tool_call(request_id=f"r{number}", tool_call_id=f"t{number}", ts=calls[number]["ts"], server="s",
                  cost_usd=rng.choice([None, 0.25]), status=rng.choice(["ok", "error"]))
        for number in range(0, 600, 2)
    ]  # fmt: skip
    made = []
    for name in ("as they are", "compacted"):
        path = tmp_path_factory.mktemp("summing") / f"{name}.db"
        with Ledger(path) as ledger:
            ledger.set_prices([price(input=1_234_567, output=7_654_321, units={"seconds": 8})])
            ledger.assign("a1", team="x", valid_from="2026-02-03T07:15:00Z")
            ledger.record_calls(calls[:550])
            ledger.record_tool_calls(tools[:280])
            if name == "compacted":
                ledger.compact()
            ledger.record_calls(calls[550:])
            ledger.record_tool_calls(tools[280:])
        made.append(path)
    return made


@given(
    by=st.sampled_from(REPORTS),
    since=st.one_of(st.none(), st.sampled_from(BOUNDS)),
    until=st.one_of(st.none(), st.sampled_from(BOUNDS)),
    zone=st.sampled_from(ZONES),
)  # fmt: skip
def test_any_report(files, by, since, until, zone):
    axis, all_in = by
    found = []
    for path in files:
        with reading(path) as connection:
            arguments = {"all_in": all_in, "since": since, "until": until}
            found.append(reporting.report(connection, axis, zone=zoneinfo.ZoneInfo(zone), **arguments))
            found.append(reporting.total(connection, axis, **arguments))
    assert found[:2] == found[2:]


def test_whole_months_read_no_call(files):
    _, compacted = files
    with reading(compacted) as connection:
        month = {"since": "2026-02-01T00:00:00.000Z", "until": "2026-03-01T00:00:00.000Z"}
        sql = summing.rows(connection, summing.CALLS, **month)
        assert "grain = 'month'" in sql
        assert "call_part" not in sql
        part = summing.rows(connection, summing.CALLS, "2026-02-03T07:31:17.000Z", "2026-02-04T00:00:00.000Z")
        assert part.count("call_part") == 1  # the rest of the first hour
        assert "grain = 'hour'" in part


def test_the_files_differ(files):
    rolled = [query(path, "select ledger_row > 0, audit_row > 0 from compacted")[0] for path in files]
    assert rolled == [(0, 0), (1, 1)]
    assert reporting.start_of("2026-01-01", UTC) == BOUNDS[0]
