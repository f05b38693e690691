import pytest
from support import raw

from agent_ledger import Ledger
from agent_ledger.control import asking, budgets

START = "2026-11-01T00:00:00.000Z"


def rows(ledger: Ledger, now: str) -> list[dict[str, object]]:
    with raw(ledger) as connection:
        return asking.rows(connection, "budget_in_force", now)


def test_a_later_row_changes_a_budget_and_ends_it(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        for limit, since in ((10, START), (20, "2026-11-05")):
            name = budgets.set_budget(connection, "agent", "a", now=START, period="day", limit=limit, valid_from=since)
        budgets.end_budget(connection, name, now=START, valid_from="2026-11-10")
    assert rows(ledger, "2026-10-31T23:00:00.000Z") == []
    assert [row["limit_amount"] for row in rows(ledger, "2026-11-04T23:59:59.999Z")] == [10.0]
    assert [row["limit_amount"] for row in rows(ledger, "2026-11-05T00:00:00.000Z")] == [20.0]
    assert rows(ledger, "2026-11-10T00:00:00.000Z") == []


@pytest.mark.parametrize(
    ("period", "zone", "now", "window"),
    [
        ("day", "UTC", "2026-11-14T00:00:00.000Z", ("2026-11-14", "2026-11-14T00", "2026-11-15T00")),
        ("day", "America/New_York", "2026-11-14T04:59:59.999Z", ("2026-11-13", "2026-11-13T05", "2026-11-14T05")),
        ("day", "Europe/Berlin", "2027-03-28T12:00:00.000Z", ("2027-03-28", "2027-03-27T23", "2027-03-28T22")),
        ("week", "UTC", "2027-01-01T12:00:00.000Z", ("2026-W53", "2026-12-28T00", "2027-01-04T00")),
        ("month", "Asia/Kolkata", "2026-11-30T18:29:59.999Z", ("2026-11", "2026-10-31T18", "2026-11-30T18")),
        ("month", "Asia/Kolkata", "2026-11-30T18:30:00.000Z", ("2026-12", "2026-11-30T18", "2026-12-31T18")),
    ],
)
def test_windows_are_those_of_the_zone(
    ledger: Ledger, period: str, zone: str, now: str, window: tuple[str, str, str]
) -> None:
    with raw(ledger) as connection:
        budgets.set_budget(connection, "agent", "a", now=START, period=period, limit=1, zone=zone)
    [row] = rows(ledger, now)
    assert (row["window"], str(row["window_start"])[:13], str(row["window_end"])[:13]) == window


def test_a_limit_is_exact_and_in_another_currency_at_the_rate_that_holds(ledger: Ledger) -> None:
    ledger.set_exchange_rate("EUR", "1.25", effective_from="2026-11-05")
    with raw(ledger) as connection:
        for key, limit, currency in (("a", "99999999999.999999", "USD"), ("b", "8", "EUR"), ("c", "8", "GBP")):
            budgets.set_budget(connection, "agent", key, now=START, period="day", limit=limit, currency=currency)
    found = {row["key"]: row for row in rows(ledger, "2026-11-05T00:00:00.000Z")}
    exact = {key: (row["limit_4096ths"], row["limit_picos"]) for key, row in found.items()}
    assert exact["a"][0] * 244140625 + exact["a"][1] == 99999999999999999 * 10**6
    assert exact["b"] == (40960, 0)  # ten dollars
    assert exact["c"] == (None, None)
    early = {row["key"]: row for row in rows(ledger, "2026-11-04T00:00:00.000Z")}
    assert early["b"]["limit_4096ths"] is None
