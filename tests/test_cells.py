"""Which calls share a place, by when something changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.cells import Kind

MOMENTS = ["2026-02-01T00:00:00.000Z", "2026-02-10T09:30:00.000Z", "2026-02-10T10:00:00.000Z"]


def test_an_hour_is_divided_where_something_changes_within() -> None:
    kind = Kind(MOMENTS, ["16:30", "00:30", "08:00"], [200_000])
    divided = [f"2026-02-10T{hour:02d}" for hour in range(24) if kind.divides(f"2026-02-10T{hour:02d}")]
    assert divided == ["2026-02-10T00", "2026-02-10T09", "2026-02-10T16"]
    assert kind.divides("2026-02-10T12", large=True), "some are beyond 200,000 tokens, some are not"
    assert not Kind(MOMENTS).divides("2026-02-10T12", large=True), "the price of this one has no bands"


def test_cells_end_where_something_changes() -> None:
    kind = Kind(MOMENTS, ["16:30"], [200_000])
    first = kind.cell("2026-02-10T09:29:59.999Z", 199_999, 1)
    assert kind.cell("2026-02-01T00:00:00.000Z", 0, 2) is first
    assert first.call_id == 1
    others = [
        kind.cell("2026-02-10T09:30:00.000Z", 0, 3),
        kind.cell("2026-02-10T10:00:00.000Z", 0, 4),
        kind.cell("2026-02-10T16:30:00.000Z", 0, 5),
        kind.cell("2026-02-10T09:29:59.999Z", 200_000, 6),
        kind.cell("2026-03-10T09:29:59.999Z", 0, 7),
    ]
    assert len({first, *others}) == 6


@given(
    st.lists(st.sampled_from([f"2026-02-10T09:{minute:02d}:00.000Z" for minute in range(60)])),
    st.lists(st.sampled_from([f"09:{minute:02d}" for minute in range(60)])),
)
def test_what_is_not_divided_is_one_cell(moments: list[str], times: list[str]) -> None:
    kind = Kind(moments, times)
    cells = {kind.cell(f"2026-02-10T09:{minute:02d}:30.000Z", 0, minute) for minute in range(60)}
    cells.add(kind.cell("2026-02-10T09:00:00.000Z", 0, 60))
    if not kind.divides("2026-02-10T09"):
        assert len(cells) == 1
