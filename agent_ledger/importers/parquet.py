"""Rows of a Parquet file, by pyarrow: an extra, and imported only when there is such a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from agent_ledger.errors import ImportFailed
from agent_ledger.importers.lines import reason_of

_MAGIC = b"PAR1"
_BATCH = 4096
_CALLED = {"text": "text", "number": "numbers", "time": "times", "map": "keys with values"}


def is_parquet(file: Path) -> bool:
    """Does the file begin as Parquet does? Raises ImportFailed where it can't be opened."""
    try:
        with file.open("rb") as reader:
            return reader.read(4) == _MAGIC
    except (OSError, ValueError) as error:
        raise reason_of(error, file) from error


@contextmanager
def opened(
    file: Path, choose: Callable[[Sequence[str]], Sequence[Any]], advance: Callable[[int], None]
) -> Iterator[Iterator[tuple[int, Sequence[Any]]]]:
    """Numbered rows of the columns that `choose` wants; see `columns`."""
    try:
        pyarrow, reading = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        needs = "pip install 'agent-cost-ledger[parquet]'"
        raise ImportFailed(f"{file} is Parquet, which needs pyarrow: {needs}, or convert it to CSV.") from None
    try:
        with reading.ParquetFile(file) as table:
            yield _rows(file, table, choose, advance)
    except (pyarrow.ArrowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise ImportFailed(f"{file} is damaged or cut off Parquet ({said}): fetch it again.") from error


def _rows(
    file: Path, table: Any, choose: Callable[[Sequence[str]], Sequence[Any]], advance: Callable[[int], None]
) -> Iterator[tuple[int, Sequence[Any]]]:
    schema = table.schema_arrow
    chosen = choose(schema.names)
    casts = {column.name: _cast(file, schema.field(column.name), column.kind) for column in chosen if column}
    size, told, done = file.stat().st_size, 0, 0
    for batch in table.iter_batches(_BATCH, columns=list(casts)):
        cells = {name: _cells(batch.column(name), cast) for name, cast in casts.items()}
        nothing = [None] * batch.num_rows
        rows = zip(*(cells[column.name] if column else nothing for column in chosen), strict=True)
        yield from enumerate(rows, done + 1)
        done += batch.num_rows
        now = size * done // table.metadata.num_rows
        advance(now - told)
        told = now
    advance(size - told)


def _cells(column: Any, cast: Any) -> list[Any]:
    cells: list[Any] = (column if cast is None else column.cast(cast, safe=False)).to_pylist()
    return cells


def _cast(file: Path, field: Any, kind: str) -> Any:
    """The type to convert a column to before its values become Python's; None: they can stay as they are."""
    types = import_module("pyarrow.types")
    pyarrow = import_module("pyarrow")
    found = field.type
    if types.is_dictionary(found):
        found = found.value_type
    text = types.is_string(found) or types.is_large_string(found)
    if types.is_null(found) or (text and not types.is_dictionary(field.type)):
        return None
    if text or types.is_binary(found) or types.is_large_binary(found):  # text that its writer did not mark as such
        return pyarrow.string()
    if kind == "number" and (types.is_integer(found) or types.is_decimal(found) or types.is_floating(found)):
        # The shortest number that is this float: as a double it would have digits that the bill has not.
        return pyarrow.string() if types.is_float32(found) or types.is_float16(found) else None
    if kind == "time" and types.is_timestamp(found):
        return pyarrow.timestamp("us", found.tz)  # Python's times have no nanoseconds
    if (kind == "time" and types.is_date(found)) or (kind == "map" and types.is_nested(found)):
        return None
    if kind == "text" and not types.is_nested(found):
        return pyarrow.string()
    raise ImportFailed(f"{file} has a column {field.name} of {field.type}, and {_CALLED[kind]} belong there.")
