"""Labels of any length and script, made short and harmless; days and months as people write them.

Escaping is left to markupsafe: what is done here is about what people see.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterator

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_ISOLATE, _END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_JOINER = "\N{ZERO WIDTH JOINER}"
_JOINING = (_JOINER, *map(chr, range(0x1F3FB, 0x1F400)))  # and the tones of skin
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d\d\Z", re.ASCII)
_LONGEST_LOOKED_AT = 2000  # of a label of megabytes only the beginning matters


def shorten(text: str, columns: int = 32) -> str:
    """At most `columns` wide, with an ellipsis in the middle, because ids differ at both ends.

    Wide characters count twice; what belongs together (accents, joined emoji, flags) is never cut apart. Line breaks
    become spaces; other control characters, and those that turn the direction of the text, become visible.
    """
    looked_at = text[:_LONGEST_LOOKED_AT]
    clusters = list(_clusters(" ".join("".join(map(_harmless, looked_at)).split())))
    if len(text) == len(looked_at) and sum(map(_width, clusters)) <= columns:
        return "".join(clusters) or "\N{OPEN BOX}"
    tail = list(_clusters("".join(map(_harmless, text[-_LONGEST_LOOKED_AT:])).rstrip()))[::-1]
    end = "".join(_fitting(tail, columns // 3)[::-1])
    return "".join(_fitting(clusters, columns - 1 - columns // 3)).rstrip() + _ELLIPSIS + end.lstrip()


def isolated(text: str) -> str:
    """Text that keeps its direction to itself, for titles; HTML has <bdi> for that."""
    return f"{_ISOLATE}{text}{_END}"


def day(text: str) -> str:
    """2026-10-03 as "3 Oct 2026", 2026-10 as "October 2026"; anything else as it is, shortened."""
    found = _date(text)
    if found is None:
        return shorten(text)
    return f"{found:%B %Y}" if _MONTH.match(text) else f"{found.day} {found:%b %Y}"


def tick(text: str, before: str | None) -> str:
    """The label below an axis: "3 Oct", or "3" where the month is the one of the label `before`."""
    found = _date(text)
    if found is None:
        return shorten(text, 12)
    previous = _date(before) if before else None
    if _MONTH.match(text):
        return f"{found:%b}" if previous and previous.year == found.year else f"{found:%b %Y}"
    same = previous is not None and (previous.year, previous.month) == (found.year, found.month)
    return str(found.day) if same else f"{found.day} {found:%b}"


def _date(text: str) -> datetime.date | None:
    if not (_DAY.match(text) or _MONTH.match(text)):
        return None
    try:
        return datetime.date.fromisoformat(text if _DAY.match(text) else f"{text}-01")
    except ValueError:
        return None


def _harmless(character: str) -> str:
    if character.isspace():
        return " "
    turns = unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return "\N{REPLACEMENT CHARACTER}" if turns or unicodedata.category(character) in ("Cc", "Cs") else character


def _clusters(text: str) -> Iterator[str]:
    """Characters with what joins them: good enough to cut at, without the tables of Unicode's segmentation."""
    cluster = ""
    for character in text:
        joins = unicodedata.category(character) in ("Mn", "Me", "Mc") or character in _JOINING
        flag = len(cluster) == 1 and _is_flag(cluster) and _is_flag(character)
        if cluster and not (joins or flag or cluster.endswith(_JOINER)):
            yield cluster
            cluster = ""
        cluster += character
        if len(cluster) >= 16:  # nobody writes so many accents on one letter but to do harm
            yield cluster
            cluster = ""
    if cluster:
        yield cluster


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _width(cluster: str) -> int:
    return max(1, len(cluster) // 4, *(2 for character in cluster if unicodedata.east_asian_width(character) in "WF"))


def _fitting(clusters: list[str], columns: int) -> list[str]:
    taken, width = [], 0
    for cluster in clusters:
        width += _width(cluster)
        if width > columns:
            break
        taken.append(cluster)
    return taken
