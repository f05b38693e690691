from closed_loop import govern
from support import query, raw

from agent_ledger import Ledger, clock


def test_it_is_the_present(ledger: Ledger) -> None:
    before = clock.now()
    [(now,)] = query(ledger, "select now from moment")
    assert before <= now <= clock.now()


def test_a_picture_of_an_earlier_moment_stands_still(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        govern(connection, "2026-02-01T13:00:00.000Z")
    assert ledger.rows("moment") == [{"now": "2026-02-01T13:00:00.000Z"}]
