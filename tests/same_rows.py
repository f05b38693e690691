"""Are rows of two engines the same? Integers and text exactly, doubles but for their last bits."""

from __future__ import annotations

import math
import re
from typing import Any

NOT_EXACT = {"by_id"}  # of several accounts that count more, which one is named


def _comparable(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows in an order of their own: by what is exact, then by doubles that need not be the same to the last bit."""
    cells = [[_cell(value) for name, value in row.items() if name not in NOT_EXACT] for row in rows]
    return sorted(cells, key=lambda row: ([_exact(value) for value in row], [_rounded(value) for value in row]))


def _exact(value: object) -> tuple[str, str]:
    return ("float", "") if isinstance(value, float) else (type(value).__name__, str(value))


def _rounded(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else ""


def _cell(value: object) -> object:
    """A value; doubles within text to twelve digits, because SQLite writes fifteen of them and others seventeen."""
    if isinstance(value, str):
        return re.sub(r"\d+\.\d{10,}", lambda found: f"{float(found[0]):.12g}", value)
    return value


def assert_same_rows(found: list[dict[str, Any]], wanted: list[dict[str, Any]], what: str) -> None:
    assert len(found) == len(wanted), what
    if wanted:
        assert list(found[0]) == list(wanted[0]), what
    for ours, theirs in zip(_comparable(found), _comparable(wanted), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            if isinstance(one, float) and isinstance(other, int | float):
                assert math.isclose(one, other, rel_tol=1e-14, abs_tol=1e-12), (what, ours, theirs)
            else:
                assert one == other, (what, ours, theirs)
                assert type(one) is type(other), (what, ours, theirs)
