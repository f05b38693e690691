from directed import direct
from support import raw

from agent_ledger import Ledger
from agent_ledger.control import asking


def test_a_directive_is_in_force_until_its_end_or_until_a_later_one_lifts_it(ledger: Ledger) -> None:
    throttled = direct(ledger, "throttle", throttle_to={"m": "n"}, valid_until="2999-01-01T00:00:00.000Z")
    direct(ledger, "block", key="other", valid_until="2026-01-01T00:00:00.000Z")
    [row] = ledger.rows("directive_in_force")
    assert (row["directive_id"], row["action"], row["throttle_to"]) == (throttled, "throttle", '{"m": "n"}')
    blocked = direct(ledger, "block", lifts=throttled)
    assert [row["directive_id"] for row in ledger.rows("directive_in_force")] == [blocked]
    direct(ledger, "lift", lifts=blocked)
    assert ledger.rows("directive_in_force") == []
    with raw(ledger) as connection:
        assert len(asking.rows(connection, "directive_in_force", "2025-12-31T23:59:59.999Z")) == 1
