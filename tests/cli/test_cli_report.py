"""`agent-ledger report`."""

from __future__ import annotations

import csv
import io

import pytest

from agent_ledger import Ledger, PriceRevision, reporting
from agent_ledger.ledger import reading


def _keys(rows, by="agent_id"):
    return [row[by] for row in rows]


def test_table(book, run):
    result = run("report", book, "--by", "agent")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "agent id      calls     prompt     cache     cache    completion    cost usd    unpriced",
        "                        tokens      read     write        tokens                   calls",
        "                                  tokens    tokens",
        "----------  -------  ---------  --------  --------  ------------  ----------  ----------",
        "=cmd()            1  1,000,000         0         0       100,000     15.0000           0",
        "writer            2  2,000,000         0         0       200,000     15.0000           1",
        "reader            2  2,000,000         0         0       200,000      2.4000           0",
        "",
        f"Total: 32.4000 USD for 5 calls. 1 call has no price: agent-ledger check {book}",
    ]


@pytest.mark.parametrize("by", reporting.AXES)
def test_json_has_the_columns_and_the_rows_of_the_canonical_view(by, book, read):
    rows = read("report", book, "--by", by, "--sort", "key")
    with reading(book) as connection:
        expected = [dict(row) for row in connection.execute(f"select * from cost_by_{by} order by 1")]
    assert rows == expected


def test_csv(book, run):
    rows = list(csv.DictReader(io.StringIO(run("report", book, "--by", "agent", "--csv").stdout)))
    assert list(rows[0]) == list(reporting.columns("agent"))
    assert {row["agent_id"] for row in rows} == {"'=cmd()", "reader", "writer"}
    assert [row["cost_usd"] for row in rows if row["agent_id"] == "reader"] == ["2.4"]


def test_unpriced_is_null_in_json_and_empty_in_csv(book, read, run):
    (row,) = read("report", book, "--by", "model", "--since", "2026-02-02", "--until", "2026-02-02")
    assert row["cost_usd"] is None
    table = run("report", book, "--by", "model", "--since", "2026-02-02", "--until", "2026-02-02").stdout
    assert "unpriced" in table
    assert "Total: not known for 1 call. 1 call has no price" in table


def test_sort_and_limit(book, read, run):
    assert _keys(read("report", book, "--by", "model"), "model") == ["dear", "cheap", "nobody-knows-it"]
    assert _keys(read("report", book, "--by", "model", "--sort", "key"), "model")[0] == "cheap"
    assert _keys(read("report", book, "--by", "agent", "--sort", "calls"))[-1] == "=cmd()"
    assert _keys(read("report", book, "--by", "day"), "day") == ["2026-01-31", "2026-02-01", "2026-02-02", "2026-02-28"]
    assert len(read("report", book, "--by", "day", "--limit", "1")) == 1
    assert (
        "Total: 32.4000 USD for 5 calls, 1 of 4 rows shown" in run("report", book, "--by", "day", "--limit", 1).stdout
    )


@pytest.mark.parametrize(
    ("period", "requests"),
    [
        (("--since", "2026-02-01"), 3),
        (("--until", "2026-01-31"), 2),  # the day is included
        (("--until", "2026-02-01T00:00:00Z"), 2),  # the time is not
        (("--until", "2026-02-01T00:00:00.001Z"), 3),
        (("--since", "2026-02-01T01:00:00+01:00"), 3),
        (("--month", "2026-02"), 3),
        (("--month", "2026-01", "--tz", "Europe/Berlin"), 1),  # 23:30 UTC is February there
        (("--since", "2026-02-01", "--tz", "Europe/Berlin"), 4),
        (("--since", "2026-02-01T00:00", "--tz", "Europe/Berlin"), 4),
        (("--month", "2026-03"), 0),
        (("--until", "9999-12-31"), 5),
        (("--since", "0001-01-01", "--tz", "Asia/Tokyo"), 5),
        (("--month", "9999-12"), 0),
    ],
)
def test_periods(period, requests, book, read, run):
    assert sum(row["calls"] for row in read("report", book, "--by", "model", *period)) == requests
    if not requests:
        assert run("report", book, "--by", "model", *period).stdout == f"{book} has no calls in this period\n"


def test_months_of_a_zone(book, read):
    found = {row["month"]: row["calls"] for row in read("report", book, "--by", "month", "--tz", "Europe/Berlin")}
    assert found == {"2026-01": 1, "2026-02": 3, "2026-03": 1}


def test_as_of(book, read):
    with Ledger(book) as ledger:
        before = ledger.rows("price_history")[0]["recorded_at"]
        ledger.set_prices([PriceRevision(model="cheap", source="contract", input=9_000_000, output=9_000_000)])
    now = read("report", book, "--by", "agent", "--sort", "key")
    then = read("report", book, "--by", "agent", "--sort", "key", "--as-of", before)
    never = read("report", book, "--by", "agent", "--as-of", "2020-01-01")
    assert [row["cost_usd"] for row in then] == [15.0, 2.4, 15.0]
    assert now[1]["cost_usd"] == pytest.approx(19.8)
    assert [row["cost_usd"] for row in never] == [None, None, None]


def test_an_empty_ledger(tmp_path, run, read):
    path = tmp_path / "new.db"
    run("init", path)
    assert run("report", path, "--by", "agent").stdout == f"{path} has no calls\n"
    assert read("report", path, "--by", "day", "--tz", "Asia/Tokyo") == []
    assert run("report", path, "--by", "agent", "--csv").stdout == ",".join(reporting.columns("agent")) + "\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Missing option '--by'"),
        (("--by", "planet"), "'planet' is not one of"),
        (("--by", "day", "--since", "yesterday"), "'yesterday': give a date"),
        (("--by", "day", "--since", "20260101"), "give a date"),
        (("--by", "day", "--since", "2026-W05-6"), "give a date"),
        (("--by", "day", "--since", "2026-02-30"), "give a date"),
        (("--by", "day", "--until", "2026-01-31T25:00"), "give a date"),
        (("--by", "day", "--month", "2026-13"), "give a month"),
        (("--by", "day", "--month", "2026-01", "--since", "2026-01-02"), "either --month"),
        (("--by", "day", "--since", "2026-02-02", "--until", "2026-02-01"), "is before --since"),
        (("--by", "day", "--tz", "Berlin"), "such as Europe/Berlin"),
        (("--by", "day", "--tz", "America"), "there is no time zone"),
        (("--by", "day", "--tz", "../../etc/passwd"), "there is no time zone"),
        (("--by", "day", "--tz", ""), "there is no time zone"),
        (("--by", "day", "--as-of", "then"), "give a date or a time"),
        (("--by", "day", "--limit", "-1"), "-1 is not in the range"),
        (("--by", "day", "--limit", "nan"), "nan"),
    ],
)
def test_bad_input(arguments, sentence, book, refused):
    assert sentence in refused(2, "report", book, *arguments)


def test_sniffly(samples, tmp_path, run, read):
    """The figures of ccusage for the same transcripts."""
    path, folder = tmp_path / "sniffly.db", samples / "claude_code" / "projects_sniffly"
    assert run("import", path, "claude-code", folder).exit_code == 0
    (row,) = read("report", path, "--by", "model")
    assert row["cost_usd"] == 2.3561295
    assert row["prompt_tokens"] == 4_509_302 == 293 + 206_624 + 4_302_385
    assert row["completion_tokens"] == 19_313
    assert "0 added, 186 already there" in run("import", path, "claude-code", folder).stdout
    assert read("report", path, "--by", "model") == [row]
