"""Negotiated prices from a CSV or JSON file. They win over every list price.

Prices are USD per million tokens (`web_search`, `request`: USD per request), or a `discount` off the list price.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from agent_ledger import clock, money
from agent_ledger.errors import ImportFailed, InvalidPrice
from agent_ledger.prices.factors import TOKEN_BUCKETS
from agent_ledger.prices.rules import FEES, FREE_BASIS, complaints
from agent_ledger.records import PriceRevision

SOURCE = "contract"
COLUMNS = (
    *("model", "provider", "service_tier", "region", "effective_from", "effective_to", "above_tokens", "comparator"),
    *TOKEN_BUCKETS,
    *FEES,
    *("discount", "free"),
)

_ABSURD = 10**12  # no price in USD and no number of tokens in one call comes near

_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

Entry = tuple[str, Mapping[str, Any]]  # where it stands ("line 3"), and its cells


class ContractFile:
    """Price source "contract": the rows of one file. It is read anew each time, so an edit holds at once."""

    name = SOURCE
    priority = 100
    dated = True

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def rows(self) -> list[PriceRevision]:
        """All rows as they stand in the file, patterns included.

        Raises ImportFailed where the file can't be read, InvalidPrice for the first value that can't be right.
        """
        entries = list(_entries(self.path))
        rows = [_row(self.path, place, cells) for place, cells in entries]
        for complaint in complaints(rows):
            place, cells = entries[complaint.row]
            given = cells.get(complaint.field, complaint.value)
            raise _invalid(self.path, place, complaint.field, given, complaint.remedy)
        return rows

    def prices(self, provider: str | None, model: str) -> Sequence[PriceRevision]:
        """The rows that hold for `model` of `provider`, under those names.

        Where several rows of a service tier and region match, those that name the provider win, then those that name
        the model, then those whose pattern is longest.
        """
        best: dict[tuple[str | None, str | None], tuple[tuple[bool, bool, int], list[PriceRevision]]] = {}
        for row in self.rows():
            if row.provider not in (None, provider) or not matches(row.model, model):
                continue
            rank = (row.provider is not None, row.model == model, len(row.model))
            scope = (row.service_tier, row.region)
            if scope not in best or rank > best[scope][0]:
                best[scope] = (rank, [])
            if rank == best[scope][0]:
                best[scope][1].append(replace(row, provider=provider, model=model, source_model=row.model))
        return [row for _, rows in best.values() for row in rows]


def matches(pattern: str, model: str) -> bool:
    """Is `model` meant by `pattern`? * stands for any text and ? for one character; brackets stand for themselves."""
    wild = {"*": ".*", "?": "."}
    return re.fullmatch("".join(wild.get(sign) or re.escape(sign) for sign in pattern), model, re.DOTALL) is not None


def _entries(path: Path) -> Iterator[Entry]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ImportFailed(f"{path} can't be read ({error.strerror or error}): check the path and its rights") from None
    except UnicodeDecodeError:
        raise ImportFailed(f"{path} is not UTF-8 text: save it as CSV (UTF-8) or JSON") from None
    entries = _json_entries(path, text) if path.suffix.lower() == ".json" else _csv_entries(path, text)
    for place, cells in entries:
        _check_columns(path, place, cells)
        yield place, {name: value for name, value in cells.items() if value is not None and value != ""}


def _json_entries(path: Path, text: str) -> Iterator[Entry]:
    try:
        document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ImportFailed(f"{path} is not JSON ({error}): it must be a list of objects") from None
    if not isinstance(document, list):
        raise ImportFailed(f"{path} holds no list: it must be a list of objects, one for each price")
    for number, entry in enumerate(document, 1):
        if not isinstance(entry, dict):
            raise InvalidPrice(f"{path}, entry {number}: {entry!r} is not an object: write one object for each price")
        yield f"entry {number}", {name: v.strip() if isinstance(v, str) else v for name, v in entry.items()}


def _csv_entries(path: Path, text: str) -> Iterator[Entry]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            place = f"line {reader.line_num}"
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_columns(path, place, header)
            elif len(cells) > len(header):
                surplus = cells[len(header)]
                raise InvalidPrice(
                    f"{path}, {place}: {surplus!r} stands beyond the last column: put cells with commas in quotes"
                )
            else:
                yield place, {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
    except csv.Error as error:
        raise ImportFailed(f"{path}, line {reader.line_num}: it is not CSV ({error}): check its quotes") from None
    if header is None:
        raise ImportFailed(f"{path} is empty: its first line must name the columns, at least model and a price")


def _check_columns(path: Path, place: str, columns: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in columns:
        if name not in COLUMNS:
            raise InvalidPrice(f"{path}, {place}: unknown column {name!r}: the columns are {', '.join(COLUMNS)}")
        if name in seen:
            raise InvalidPrice(f"{path}, {place}: column {name!r} stands there twice: remove one of them")
        seen.add(name)


def _row(path: Path, place: str, cells: Mapping[str, Any]) -> PriceRevision:
    def read(field: str, convert: Callable[[Any], Any], remedy: str) -> Any:
        if field not in cells:
            return None
        try:
            return convert(cells[field])
        except ValueError:
            raise _invalid(path, place, field, cells[field], remedy) from None

    if "model" not in cells:
        raise InvalidPrice(
            f"{path}, {place}: model is empty: name the model as it stands in the ledger (* and ? allowed)"
        )
    name = "write a name, as it stands in the ledger"
    moment = "write an ISO date or time, such as 2026-08-21"
    amount = "write an amount in USD, such as 2.50"
    return PriceRevision(
        model=read("model", _text, name),
        source=SOURCE,
        provider=read("provider", _text, name),
        service_tier=read("service_tier", _text, name),
        region=read("region", _text, name),
        effective_from=read("effective_from", clock.parse, moment),
        effective_to=read("effective_to", clock.parse, moment),
        above_tokens=read("above_tokens", _count, "write a whole number of tokens, such as 200000"),
        comparator=read("comparator", _text, 'use "gt" or "ge"') or "gt",
        **{
            bucket: read(bucket, lambda cell: money.picos_per_token(_number(cell)), f"{amount}, per million tokens")
            for bucket in TOKEN_BUCKETS
        },
        **{fee: read(fee, lambda cell: money.picos(_number(cell)), f"{amount}, per request") for fee in FEES},
        discount=read("discount", _share, "write a share such as 15% or 0.15"),
        basis=FREE_BASIS if read("free", _truth, "write yes or no") else SOURCE,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _number(value: Any) -> Decimal:
    number = money.decimal(value)
    if number.copy_abs() > _ABSURD:  # an exponent such as 1e999999 would take all memory as a whole number
        raise ValueError
    return number


def _count(value: Any) -> int:
    number = _number(value)
    if number != number.to_integral_value():
        raise ValueError
    return int(number)


def _share(value: Any) -> Decimal:
    if isinstance(value, str) and value.endswith("%"):
        return _number(value[:-1]) / 100
    return _number(value)


def _truth(value: Any) -> bool:
    try:
        return value if isinstance(value, bool) else _TRUTH[str(value).lower()]
    except KeyError:
        raise ValueError from None


def _invalid(path: Path, place: str, field: str, value: object, remedy: str) -> InvalidPrice:
    shown = str(value) if isinstance(value, Decimal) else repr(value)
    return InvalidPrice(f"{path}, {place}: {field} is {shown}: {remedy}")
