from support import raw

from agent_ledger import Ledger
from agent_ledger.control import asking, policy

FIRST, SECOND = "2026-11-01T00:00:00.000Z", "2026-11-02T00:00:00.000Z"


def test_the_last_word_on_each_rule_holds_in_the_order_of_the_file(ledger: Ledger) -> None:
    a, b, c = ({"name": name, "action": "notify"} for name in "abc")
    with raw(ledger) as connection:
        policy.store(connection, [a, b], now=FIRST)
        policy.store(connection, [c, {**a, "action": "block"}], now=SECOND)

        def held(now: str) -> list[tuple[str, str]]:
            return [(row["rule"], row["action"]) for row in asking.rows(connection, "rule_in_force", now)]

        assert held("2026-10-31T00:00:00.000Z") == []
        assert held(FIRST) == [("a", "notify"), ("b", "notify")]
        assert held(SECOND) == [("c", "notify"), ("a", "block")]
