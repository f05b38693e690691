"""Reports add up to the period, whatever the calendar. An independent count in Python is the oracle."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from billed import billed, stated
from support import call, price, query

from agent_ledger import Ledger, PriceRevision, reporting
from agent_ledger.ledger import reading

# Days on which zones change their clocks, or leave a day out (Samoa, 30 December 2011), and quiet ones.
MOMENTS = [
    datetime(2011, 12, 29, 0, tzinfo=UTC),
    datetime(2024, 2, 28, 0, tzinfo=UTC),
    datetime(2024, 3, 9, 12, tzinfo=UTC),
    datetime(2024, 3, 30, 12, tzinfo=UTC),
    datetime(2024, 4, 6, 0, tzinfo=UTC),
    datetime(2024, 10, 26, 12, tzinfo=UTC),
    datetime(2024, 11, 2, 12, tzinfo=UTC),
    datetime(2024, 12, 31, 0, tzinfo=UTC),
]
ZONES = sorted(zoneinfo.available_timezones())


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    """Calls every 47 minutes over two days around each of the moments: never on a boundary, often close to one."""
    path = tmp_path_factory.mktemp("reporting") / "ledger.db"
    moments = [start + timedelta(minutes=47 * step) for start in MOMENTS for step in range(62)]
    moments += [datetime(2024, 12, 31, 18, 30, tzinfo=UTC), datetime(2024, 12, 31, 18, 29, 59, 999000, tzinfo=UTC)]
    with Ledger(path) as ledger:
        ledger.set_prices([PriceRevision(model="m", source="contract", input=1_234_567, output=7_654_321)])
        ledger.record_calls(
            call(request_id=f"r{n}", ts=moment, prompt_tokens=n, agent_id=f"a{n % 3}", model="m" if n % 7 else "none")
            for n, moment in enumerate(moments)
        )
    return path


@pytest.fixture(scope="module")
def connection(spread):
    with reading(spread) as opened:
        yield opened


def _picos(row):
    """Exact: a double holds every pico-dollar up to 9,000 dollars."""
    return 0 if row["cost_usd"] is None else round(row["cost_usd"] * 1e12)


@pytest.mark.parametrize("by", ["day", "month"])
def test_days_and_months_add_up_in_every_zone(by, connection, spread):
    calls, picos = query(spread, "select count(*), sum(cost_picos) from call_cost")[0]
    stamps = [datetime.fromisoformat(ts) for (ts,) in query(spread, "select ts from call_cost")]
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        rows = reporting.report(connection, by, zone=zone)
        assert sum(row["calls"] for row in rows) == calls, name
        assert sum(map(_picos, rows)) == picos, name
        local = Counter(stamp.astimezone(zone).date().isoformat()[: 10 if by == "day" else 7] for stamp in stamps)
        assert {row[by]: row["calls"] for row in rows} == dict(local), name


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia", "UTC"])
def test_a_month_is_the_sum_of_its_days(name, connection):
    zone = zoneinfo.ZoneInfo(name)
    for text in ("2011-12", "2024-03", "2024-10", "2024-11", "2024-12", "2025-01"):
        since, until = reporting.month_of(text, zone)
        total = reporting.total(connection, since=since, until=until)
        rows = reporting.report(connection, "day", since=since, until=until, zone=zone)
        assert {row["day"][:7] for row in rows} <= {text}
        for measure in ("calls", "unpriced_calls"):
            assert sum(row[measure] for row in rows) == total[measure]
        assert sum(map(_picos, rows)) == _picos(total)
        assert total["calls"] == sum(
            row["calls"] for row in reporting.report(connection, "month", zone=zone) if row["month"] == text
        )


def test_half_hour_zone_boundary():
    """18:30 UTC is midnight in India."""
    zone = zoneinfo.ZoneInfo("Asia/Kolkata")
    since, until = reporting.start_of("2025-01-01", zone), reporting.end_of("2025-01-01", zone)
    assert (since, until) == ("2024-12-31T18:30:00.000Z", "2025-01-01T18:30:00.000Z")


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)], ids=["spring", "autumn", "summer"]
)
def test_days_when_the_clock_changes(day, hours):
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    start, end = (datetime.fromisoformat(bound(day, zone)) for bound in (reporting.start_of, reporting.end_of))
    assert end - start == timedelta(hours=hours)


@pytest.mark.parametrize("by", reporting.AXES)
def test_a_filter_that_takes_all_gives_the_canonical_view(by, connection):
    """The SQL here and the SQL of the views are the same."""
    everything = reporting.report(connection, by, since="0001-01-01T00:00:00.000Z")
    assert everything == reporting.report(connection, by)
    assert tuple(everything[0]) == reporting.columns(by)
    assert everything == [dict(row) for row in connection.execute(f"select * from cost_by_{by} order by 1")]
    elsewhere = reporting.report(connection, by, zone=zoneinfo.ZoneInfo("Africa/Abidjan"))  # it has UTC's clock
    assert elsewhere == everything


@pytest.mark.parametrize("by", reporting.AXES)
def test_parts_add_up_to_the_total_of_any_period(by, connection):
    bounds = {"since": "2024-03-10T01:02:03.004Z", "until": "2024-11-02T20:00:00.000Z"}
    rows, total = reporting.report(connection, by, **bounds), reporting.total(connection, **bounds)
    assert 0 < total["calls"] < 498
    for measure in ("calls", "prompt_tokens", "completion_tokens", "unpriced_calls"):
        assert sum(row[measure] for row in rows) == total[measure]
    assert sum(map(_picos, rows)) == _picos(total)


def test_columns_are_those_of_the_views(connection):
    for by in reporting.AXES:
        names = [row[1] for row in connection.execute("select * from pragma_table_info(?)", [f"cost_by_{by}"])]
        assert tuple(names) == reporting.columns(by)


def test_calls_at_the_ends_of_the_calendar(tmp_path):
    with Ledger(tmp_path / "l.db") as ledger:
        for n, ts in enumerate(("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z")):
            ledger.record_call(**call(request_id=f"r{n}", ts=ts))
    for name in ("Pacific/Kiritimati", "Etc/GMT+12"):
        with reading(tmp_path / "l.db") as opened:
            for by in ("day", "month"):
                rows = reporting.report(opened, by, zone=zoneinfo.ZoneInfo(name))
                assert sum(row["calls"] for row in rows) == 3
                assert all(row[by] for row in rows)


def test_no_calls(tmp_path):
    Ledger(tmp_path / "l.db").close()
    with reading(tmp_path / "l.db") as opened:
        assert reporting.report(opened, "day", zone=zoneinfo.ZoneInfo("Asia/Tokyo")) == []
        total = reporting.total(opened)
    assert (total["calls"], total["cost_usd"], total["unpriced_calls"]) == (0, None, 0)


def test_reports_write_nothing(spread, connection):
    before = spread.read_bytes()
    reporting.report(connection, "day", zone=zoneinfo.ZoneInfo("Asia/Tokyo"))
    assert spread.read_bytes() == before


@pytest.mark.parametrize("text", ["", "x", "2026-1-1", "20260101", "2026-01-32", "2026-01-01T", "2026-01-01 99:00"])
def test_what_is_no_bound(text):
    for read in (reporting.start_of, reporting.end_of):
        with pytest.raises(ValueError, match=r"."):
            read(text)


@pytest.mark.parametrize("text", ["", "2026", "2026-1", "2026-13", "2026-00", "2026-01-01", "0000-01"])
def test_what_is_no_month(text):
    with pytest.raises(ValueError, match=r"."):
        reporting.month_of(text)


def test_the_last_day_and_month_are_included():
    assert reporting.end_of("9999-12-31") == reporting.month_of("9999-12")[1] == "9999-12-31T23:59:59.999Z"
    assert reporting.start_of("0001-01-01", zoneinfo.ZoneInfo("Asia/Tokyo")) == "0001-01-01T00:00:00.000Z"


@pytest.fixture
def company(ledger, no_sources):  # noqa: ARG001
    """A ledger with tool calls and a bill."""
    billed(ledger)
    return ledger


@pytest.mark.parametrize("by", [*reporting.ALL_IN_AXES, reporting.TOOL])
def test_all_in_a_filter_that_takes_all_gives_the_canonical_view(by, company):
    all_in = by != reporting.TOOL
    view = f"{'all_in' if all_in else 'cost'}_by_{by}"
    with reading(company.path) as opened:
        canonical = reporting.report(opened, by, all_in=all_in)
        assert canonical == [dict(row) for row in opened.execute(f"select * from {view} order by 1, 2")]
        assert tuple(canonical[0]) == reporting.columns(by, all_in=all_in)
        assert reporting.report(opened, by, all_in=all_in, since="0001-01-01T00:00:00.000Z") == canonical
        elsewhere = zoneinfo.ZoneInfo("Africa/Abidjan")  # it has UTC's clock
        assert reporting.report(opened, by, all_in=all_in, zone=elsewhere) == canonical


@pytest.mark.parametrize("by", reporting.ALL_IN_AXES)
@pytest.mark.parametrize("name", ["UTC", "Asia/Kolkata", "Pacific/Apia", "America/New_York"])
def test_all_in_parts_add_up_in_every_zone(by, name, company):
    zone = zoneinfo.ZoneInfo(name)
    with reading(company.path) as opened:
        whole = reporting.exact(opened, by, all_in=True, zone=zone)
        assert sum(row["picos"] or 0 for row in whole) == stated(company)
        months = [reporting.month_of(month, zone) for month in ("2025-12", "2026-01", "2026-02")]
        parts = [
            row
            for since, until in months
            for row in reporting.exact(opened, by, all_in=True, since=since, until=until, zone=zone)
        ]
        assert sum(row["picos"] or 0 for row in parts) == stated(company)
        totals = [reporting.total(opened, all_in=True, since=since, until=until) for since, until in months]
    for measure in ("calls", "tool_calls", "unpriced_calls", "uncosted_calls"):
        assert sum(row[measure] for row in parts) == sum(row[measure] for row in totals)
        assert sum(row[measure] for row in parts) == sum(row[measure] for row in whole)


def test_charges_count_when_their_period_begins(company):
    """Midnight UTC of February 1st is still January in New York: so is the line that begins then."""
    with reading(company.path) as opened:
        rows = reporting.report(opened, "day", all_in=True, zone=zoneinfo.ZoneInfo("America/New_York"))
    assert {row["day"]: row["tool_usd"] for row in rows} == {
        "2025-12-31": -0.5, "2026-01-31": 2.5, "2026-02-01": 1.0,
    }  # fmt: skip


def test_all_in_totals(company):
    with reading(company.path) as opened:
        assert reporting.total(opened, all_in=True) == {
            "calls": 4, "tool_calls": 4, "llm_usd": 0.00055, "tool_usd": 3.0, "all_in_usd": 3.00055,
            "unpriced_calls": 2, "uncosted_calls": 1,
        }  # fmt: skip
        assert reporting.total(opened, reporting.TOOL) == {
            "calls": 4, "failed_calls": 1, "uncosted_calls": 1, "cost_usd": 1.5,
        }  # fmt: skip
        nothing = reporting.total(opened, all_in=True, since="2030-01-01T00:00:00.000Z")
    assert nothing == {
        "calls": 0, "tool_calls": 0, "llm_usd": 0, "tool_usd": 0, "all_in_usd": None,
        "unpriced_calls": 0, "uncosted_calls": 0,
    }  # fmt: skip


def test_how_far_bills_reach(company, tmp_path):
    with reading(company.path) as opened:
        assert reporting.billed(opened) == {"billed_through": "2026-02-02T00:00:00.000Z", "unconverted_charges": 1}
        assert reporting.billed(opened, until="2026-02-01T00:00:00.000Z")["unconverted_charges"] == 0
    Ledger(tmp_path / "l.db").close()
    with reading(tmp_path / "l.db") as opened:
        assert reporting.billed(opened) == {"billed_through": None, "unconverted_charges": 0}


def test_exact_amounts_beyond_what_a_double_holds(ledger, no_sources):  # noqa: ARG001
    ledger.record_calls(call(request_id=f"{n}", prompt_tokens=10**9 - n, completion_tokens=0) for n in range(5))
    ledger.set_prices([price(input=3_999_999_999)])
    with reading(ledger.path) as opened:
        [row] = reporting.exact(opened, "agent")
        [both] = reporting.exact(opened, "agent", all_in=True)
    assert row["picos"] == both["picos"] == sum(10**9 - n for n in range(5)) * 3_999_999_999
