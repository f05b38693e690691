from support import raw

from agent_ledger import Ledger
from agent_ledger.control import asking, budgets

START = "2026-11-01T00:00:00.000Z"


def names(ledger: Ledger, now: str) -> list[int]:
    with raw(ledger) as connection:
        return [row["exception_id"] for row in asking.rows(connection, "exception_in_force", now)]


def test_an_exception_holds_from_its_start_until_its_end_or_until_it_is_revoked(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        budget = budgets.set_budget(connection, "agent", "a", now=START, period="day", limit=1)
        for until in ("2026-11-03", "2026-11-05"):
            budgets.grant_exception(connection, budget, now=START, until=until, granted_by="ana")
        budgets.revoke_exception(connection, 2, now="2026-11-04T00:00:00.000Z", granted_by="bob")
    assert names(ledger, "2026-10-31T23:59:59.999Z") == []
    assert names(ledger, START) == [1, 2]
    assert names(ledger, "2026-11-03T00:00:00.000Z") == [2]
    assert names(ledger, "2026-11-04T00:00:00.000Z") == []
