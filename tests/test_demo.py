"""The demo ledger tells its story, costs what its price rows say, and is the same on every machine."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from agent_ledger import Ledger, LedgerError
from agent_ledger.demo import build, company, incidents, prices
from agent_ledger.ledger import reading
from agent_ledger.prices.genai import GenaiPrices
from agent_ledger.prices.rules import validate
from agent_ledger.schema import scripts

COMMITTED = Path(__file__).parents[1] / "demo.db"
TOTAL = "sum(cost_picos / 244140625) * 244140625 + sum(cost_picos % 244140625)"
AXES = ("agent", "team", "feature", "customer", "model", "day", "month")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    build(path)
    return path


@pytest.fixture
def db(demo: Path) -> Iterator[sqlite3.Connection]:
    with reading(demo) as connection:
        yield connection


def one(db: sqlite3.Connection, sql: str, *values: object) -> Any:
    return db.execute(sql, values).fetchone()[0]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return list(connection.iterdump())


# -- the file ---------------------------------------------------------------------------------------------------------


def test_one_file_that_opens_everywhere(demo: Path) -> None:
    assert os.listdir(demo.parent) == ["demo.db"]
    assert demo.read_bytes()[18:20] == b"\1\1"  # not WAL
    assert 4_000_000 < demo.stat().st_size < 16_000_000
    with reading(demo) as connection:
        assert one(connection, "pragma journal_mode") == "delete"
        assert one(connection, "pragma freelist_count") == 0
        assert one(connection, "pragma integrity_check") == "ok"
        assert connection.execute("pragma foreign_key_check").fetchall() == []


def test_read_only_copy(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    copy = folder / "demo.db"
    copy.write_bytes(demo.read_bytes())
    copy.chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with reading(copy) as connection:
            assert one(connection, "select count(*) from cost_by_agent") == len(company.AGENTS)
        assert os.listdir(folder) == ["demo.db"]
    finally:
        folder.chmod(stat.S_IRWXU)


def test_two_builds_are_equal_and_no_clock_is_read(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_ledger.clock.now", lambda: "2031-05-05T05:05:05.000Z")
    again = tmp_path / "again.db"
    build(again)
    assert dump(again) == dump(demo)


def test_committed_file_is_a_fresh_build(demo: Path) -> None:
    if not COMMITTED.exists():
        pytest.skip("there is no demo.db beside the tests: this is not a checkout")
    assert dump(COMMITTED) == dump(demo), (
        "remove demo.db and build it again: "
        """python -c 'from pathlib import Path; from agent_ledger.demo import build; build(Path("demo.db"))'"""
    )


def test_progress_counts_every_row(tmp_path: Path) -> None:
    steps: list[int] = []
    build(tmp_path / "demo.db", steps.append)
    with Ledger(tmp_path / "demo.db") as ledger, reading(ledger.path) as connection:
        written = one(connection, "select (select count(*) from ledger) + (select count(*) from audit)")
    assert sum(steps) == written
    assert len(steps) > 30


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    path.write_text("mine")
    with pytest.raises(LedgerError, match=r"mine\.db exists already"):
        build(path)
    assert path.read_text() == "mine"


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no folder"):
        build(tmp_path / "nowhere" / "demo.db")


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "demo.db", interrupt)
    assert os.listdir(tmp_path) == []


# -- the story --------------------------------------------------------------------------------------------------------


def test_the_company(db: sqlite3.Connection) -> None:
    assert one(db, "select count(distinct agent_id) from ledger") == 47
    assert one(db, "select count(*) from cost_by_agent") == 47
    assert one(db, "select count(*) from cost_by_feature") == 12
    assert one(db, "select count(*) from cost_by_team") == 6
    assert one(db, "select count(distinct customer_id) from ledger") == 120
    assert one(db, "select count(*) from agent_assignment where owner not like '%_@example.com'") == 0
    assert (
        one(db, "select min(substr(ts, 1, 10)) || ' ' || max(substr(ts, 1, 10)) from ledger") == "2026-09-01 2026-11-20"
    )


def test_october_costs_about_eighty_thousand_dollars(db: sqlite3.Connection) -> None:
    cost = dict(db.execute("select month, cost_usd from cost_by_month").fetchall())
    assert 75_000 < cost["2026-10"] < 85_000
    assert cost["2026-09"] < cost["2026-10"] > cost["2026-11"]


def test_the_runaway_leads_october(db: sqlite3.Connection) -> None:
    october = "select agent_id, sum(cost_usd) from daily_cost where day like '2026-10-%' group by 1 order by 2 desc"
    assert db.execute(october).fetchone()[0] == incidents.RUNAWAY
    share = (
        "select avg(agent_id = ?), sum(iif(agent_id = ?, cost_usd, 0)) / sum(cost_usd) from call_cost where {} like ?"
    )
    calls, money = db.execute(share.format("substr(ts, 1, 7)"), [incidents.RUNAWAY] * 2 + ["2026-10"]).fetchone()
    assert 0.12 < calls < 0.25
    assert 0.18 < money < 0.25


def test_one_customer_is_busier_than_the_next(db: sqlite3.Connection) -> None:
    calls = [row[0] for row in db.execute("select calls from cost_by_customer where customer_id <> '(unattributed)'")]
    calls.sort(reverse=True)
    assert calls[0] > 1.4 * calls[1] > 1.4 * calls[5]
    assert sum(calls[:10]) > sum(calls) / 3
    assert one(db, "select calls from cost_by_customer where customer_id = '(unattributed)'") > 1_000


def test_nights_and_weekends_are_quiet(db: sqlite3.Connection) -> None:
    day = "select count(*) from ledger where agent_id = 'chat-assistant' and strftime('%w', ts) in ({})"
    assert one(db, day.format("'0', '6'")) < one(db, day.format("'2', '3'")) / 3
    hour = "select count(*) from ledger where agent_id = 'chat-assistant' and substr(ts, 12, 2) {}"
    assert one(db, hour.format("< '05'")) < one(db, hour.format("between '13' and '17'")) / 5


def test_price_change_in_the_middle_of_october(db: sqlite3.Connection) -> None:
    """The same tokens of Mistral's large model: promotional price, list price from the 20th, cheaper from the 29th."""
    per_token = """
        select distinct substr(ts, 1, 10), rate.input, rate.output
        from call_cost join rate on rate.price_id = call_cost.price_id and rate.model = call_cost.model
        where call_cost.model = 'mistral-large-4' and ts >= rate.valid_from and ts < rate.valid_to
        order by 1
    """
    days = {day: (fresh, output) for day, fresh, output in db.execute(per_token)}
    assert days["2026-10-19"] == (680_000, 2_090_000)
    assert days["2026-10-20"] == days["2026-10-28"] == (1_360_000, 4_180_000)
    assert days["2026-10-29"] == (700_000, 2_100_000)


def test_what_october_seemed_to_cost_before_the_change_was_noticed(demo: Path) -> None:
    def mistral(as_of: str | None) -> float:
        with reading(demo, as_of=as_of) as connection:
            days = "day between '2026-10-20' and '2026-10-28'"
            return float(
                one(connection, f"select sum(cost_usd) from daily_cost where model = 'mistral-large-4' and {days}")
            )

    assert mistral("2026-10-21") == pytest.approx(mistral(None) / 2, rel=0.01)


def test_time_of_day_prices(db: sqlite3.Connection) -> None:
    paid = "select distinct substr(time_from, 1, 2) from rate where model = 'deepseek-v4-flash' and input = 300000"
    assert {row[0] for row in db.execute(paid)} == {"01", "06"}
    hours = (
        "select count(*) from ledger where model = 'deepseek-v4-flash' and substr(ts, 12, 2) {} between '01' and '03'"
    )
    assert one(db, hours.format("")) > 20
    assert one(db, hours.format("not")) > 20


def test_the_agent_that_moved(db: sqlite3.Connection) -> None:
    query = "select team, feature, min(day), max(day) from daily_cost where agent_id = ? group by 1, 2 order by 3"
    before, after = db.execute(query, [company.MOVED]).fetchall()
    assert tuple(before)[:3] == ("support", "knowledge-base", "2026-09-01")
    assert before[3] <= "2026-10-14" < after[2]
    assert tuple(after)[:2] == ("legal", "contract-review")


def test_every_kind_of_price_is_there(db: sqlite3.Connection) -> None:
    def calls(condition: str) -> int:
        return int(one(db, f"select count(*) from call_cost join rate using (price_id) where {condition}"))

    assert {row[0] for row in db.execute("select distinct provider from ledger")} >= {
        *("anthropic", "openai", "google", "aws", "deepseek", "mistral", "vllm")
    }
    assert {row[0] for row in db.execute("select distinct evidence from ledger")} >= {
        "response",
        "stream",
        "partial",
        "log",
    }
    for condition in (
        "call_cost.service_tier = 'batch'",
        "call_cost.region = 'us'",
        "rate.min_tokens > 200000 and call_cost.model = 'claude-sonnet-4-5'",
        "rate.min_tokens > 200000 and call_cost.model = 'gemini-2.5-pro'",
        "rate.min_tokens > 200000 and call_cost.model = 'gpt-5.6-sol'",
        "call_cost.web_search_requests > 0",
        "call_cost.cache_write_1h_tokens > 0",
        "call_cost.cache_write_tokens > call_cost.cache_write_1h_tokens",
        "call_cost.cache_read_tokens > 0",
        "call_cost.reasoning_tokens > 0",
    ):
        assert calls(condition) > 50, condition


def test_what_is_wrong_is_shown(db: sqlite3.Connection) -> None:
    assert [tuple(row) for row in db.execute("select model, provider from unpriced_calls")] == [
        ("northwind-lora-7b", "vllm")
    ]
    assert [row["request_id"] for row in db.execute("select * from request_conflicts")] == ["req_demo_conflict"]
    assert [row["tool_call_id"] for row in db.execute("select * from orphan_tool_calls")] == ["toolu_demo_orphan"]
    reported = db.execute("select cost_usd, cost_source from call_cost where anomaly is not null").fetchall()
    assert [tuple(row) for row in reported] == [(0.4127, "reported")]


@pytest.mark.parametrize("check", ["overlapping_rates", "unequal_axes"])
def test_checks_find_nothing(db: sqlite3.Connection, check: str) -> None:
    assert db.execute(scripts("checks")[check]).fetchall() == []


def test_invoice_4711(db: sqlite3.Connection) -> None:
    """$1.20 for the model; the charges for its three tools come with the bill."""
    calls = db.execute(
        "select agent_id, customer_id, cost_picos from call_cost where request_id = ?", [incidents.INVOICE_REQUEST]
    ).fetchall()
    assert sum(row["cost_picos"] for row in calls) == 1_200_000_000_000
    assert {tuple(row)[:2] for row in calls} == {("invoice-reconciler", "acme")}
    tools = db.execute("select server, resource_id from audit where request_id = ?", [incidents.INVOICE_REQUEST])
    touched = dict(tuple(row) for row in tools)
    assert set(touched) == {"s3", "rds", "lambda"}
    # Nobody else touches these: a bill for them is this request's alone.
    for resource in touched.values():
        assert one(db, "select count(*) from audit where resource_id = ?", resource) == 1


def test_tool_calls(db: sqlite3.Connection) -> None:
    servers = {row[0] for row in db.execute("select distinct server from audit")}
    assert servers >= {"s3", "rds", "lambda", "bedrock", "helpdesk-mcp", "git-mcp"}
    assert 0.02 < one(db, "select avg(status = 'error') from audit") < 0.25
    assert one(db, "select count(*) from audit where resource_id is null and server not like '%-mcp'") == 0


# -- the figures ------------------------------------------------------------------------------------------------------


def test_every_axis_has_the_same_total(db: sqlite3.Connection) -> None:
    whole = one(db, f"select {TOTAL} from call_cost")
    assert whole > 0
    for axis in ("day", "agent_id", "team", "feature", "customer_id", "provider", "model", "substr(day, 1, 7)"):
        parts = db.execute(
            f"select sum(cost_4096ths) * 244140625 + sum(cost_picos) from daily_cost group by {axis}"
        ).fetchall()
        assert sum(row[0] or 0 for row in parts) == whole, axis
    for axis in AXES:
        total = one(db, f"select sum(cost_usd) from cost_by_{axis}")
        assert total == pytest.approx(whole / 1e12, abs=1e-6), axis


def test_against_an_independent_calculation(db: sqlite3.Connection) -> None:
    """500 calls, priced in Decimal from price_revision alone, with nothing of the library's pricing."""
    revisions = [dict(row) for row in db.execute("select * from price_revision")]
    sample = [dict(row) for row in db.execute("select * from call_cost order by id * 7919 % 100003 limit 500")]
    assert len({row["model"] for row in sample}) >= 10
    for call in sample:
        cost = naive_cost(call, revisions)
        assert call["cost_picos"] == (None if cost is None else int(cost * 10**12)), call


def naive_cost(call: dict[str, Any], revisions: list[dict[str, Any]]) -> Decimal | None:
    if call["anomaly"]:
        return Decimal(str(call["reported_cost_usd"]))
    minute = call["ts"][11:16]
    fitting = [
        row
        for row in revisions
        if (row["model"], row["provider"]) == (call["model"], call["provider"])
        and row["service_tier"] == call["service_tier"]
        and row["region"] in (None, call["region"])
        and (row["effective_from"] or "") <= call["ts"] < (row["effective_to"] or "9999")
        and (row["time_from"] is None or row["time_from"] <= minute < row["time_to"])
        and call["prompt_tokens"] > (-1 if row["above_tokens"] is None else row["above_tokens"])
    ]
    if not fitting:
        return None
    row = max(
        fitting,
        key=lambda row: (row["region"] or "", row["recorded_at"], row["above_tokens"] or 0, row["time_from"] or ""),
    )

    def pay(tokens: int | None, *buckets: str) -> Decimal:
        price = next(row[bucket] for bucket in buckets if row[bucket] is not None)
        return (tokens or 0) * Decimal(price) / 10**12

    read, written, hour = (
        call[name] or 0 for name in ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    )
    return (
        pay(call["prompt_tokens"] - read - written, "input")
        + pay(read, "cache_read", "input")
        + pay(written - hour, "cache_write", "input")
        + pay(hour, "cache_write_1h", "cache_write", "input")
        + pay(call["completion_tokens"], "output")
        + (pay(call["web_search_requests"], "web_search") if call["web_search_requests"] else 0)
    )


def test_prices_are_valid() -> None:
    for _, rows in prices.recordings():
        validate(rows)


def test_prices_are_those_of_genai_prices() -> None:
    if version("genai-prices") != "0.2.3":
        pytest.skip("the demo's prices are those of genai-prices 0.2.3")
    buckets = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "web_search", "comparator")
    for _, rows in prices.recordings():
        for row in rows:
            assert row.provider
            scope = (row.service_tier, row.region, row.above_tokens, row.time_from, row.time_to)
            published = [
                tuple(getattr(theirs, bucket) for bucket in buckets)
                for theirs in GenaiPrices().prices(row.provider, row.model)
                if scope == (theirs.service_tier, theirs.region, theirs.above_tokens, theirs.time_from, theirs.time_to)
            ]
            assert tuple(getattr(row, bucket) for bucket in buckets) in published, row


# -- bills ------------------------------------------------------------------------------------------------------------


def test_one_dollar_twenty_in_tokens_is_one_eighty_five_all_in(db: sqlite3.Connection) -> None:
    sql = "select llm_usd, tool_usd, all_in_usd from all_in_by_request where request_id = ?"
    assert tuple(db.execute(sql, [incidents.INVOICE_REQUEST]).fetchone()) == (1.2, 0.65, 1.85)
    parts = db.execute(
        "select service, cost_usd, share from allocated_charge where request_id = ? order by service",
        [incidents.INVOICE_REQUEST],
    )
    assert [tuple(row) for row in parts] == [("AWSLambda", 0.0006, 1), ("AmazonRDS", 0.6294, 1), ("AmazonS3", 0.02, 1)]


def test_every_dollar_of_the_bills_is_with_a_call_or_says_why_not(db: sqlite3.Connection) -> None:
    billed = one(db, "select sum(cost_picos) from billed_charge where kind = 'cloud'")
    allocated = one(db, "select sum(cost_picos) from allocated_charge")
    rest = one(db, "select sum(cost_picos) from unallocated_charge")
    assert allocated + rest == billed
    assert {reason for (reason,) in db.execute("select distinct reason from unallocated_charge")} == {
        "credit", "no tool call", "not all metered", "tax or fee",
    }  # fmt: skip


def test_october_is_closed_and_was_restated(db: sqlite3.Connection) -> None:
    [row] = db.execute("select * from restatement where axis = 'total'").fetchall()
    assert (row["month"], row["cause"]) == ("2026-10", "bills")
    assert 0 < row["difference_usd"] < 200
    rows = db.execute(
        "select provider, difference_usd from reconciliation where month = '2026-10' and invoiced_usd > 0"
    )
    rest = {row["provider"]: row["difference_usd"] for row in rows}
    assert rest.keys() == {"anthropic", "aws", "openai"}
    assert all(0 < difference < 100 for difference in rest.values()), "a small rest that nobody can explain"
