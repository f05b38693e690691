from support import raw

from agent_ledger import Ledger
from agent_ledger.control import lease

NOON, LATER = "2026-11-14T12:00:00.000Z", "2026-11-14T12:02:00.000Z"


def test_one_holder_at_a_time_until_it_is_over_or_given_back(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        assert lease.take(connection, "a", NOON) is None
        assert lease.take(connection, "b", "2026-11-14T12:01:59.999Z") == "a"
        assert lease.take(connection, "a", "2026-11-14T12:01:00.000Z") is None  # extended
        assert lease.take(connection, "b", LATER) == "a"
        assert lease.take(connection, "b", "2026-11-14T12:03:00.000Z") is None
        lease.give_back(connection, "a")  # no longer its own
        assert lease.take(connection, "a", "2026-11-14T12:03:01.000Z") == "b"
        lease.give_back(connection, "b")
        assert lease.take(connection, "a", "2026-11-14T12:03:01.000Z") is None


def test_a_lease_from_before_the_clock_was_moved_back_is_over(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        assert lease.take(connection, "a", "2026-11-15T12:00:00.000Z") is None
        assert lease.take(connection, "b", NOON) is None


def test_holders_have_names_of_their_own() -> None:
    assert lease.new_holder() != lease.new_holder()
