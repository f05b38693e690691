"""Bytes of a file, line by line: numbered, in flat memory, and with one clear sentence for everything that is wrong."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from agent_ledger.errors import ImportFailed
from agent_ledger.records import Refused

LIMIT = 64 * 2**20
"""The longest line, and the largest recorded body, that is read."""

_CHUNK = 2**20
_GZIP = b"\x1f\x8b"
_KINDS = {list: "a list", str: "text", int: "a number", float: "a number", bool: "a truth value", type(None): "null"}

Reader: TypeAlias = "io.BufferedReader[Any] | gzip.GzipFile"
Numbered = tuple[int, dict[str, Any]]


class _Counted(io.FileIO):
    """A file that tells how far it has been read. Counting here counts packed bytes too, so progress meets the size."""

    def __init__(self, file: Path, advance: Callable[[int], None]) -> None:
        super().__init__(file, "rb")
        self._advance = advance

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        if count:
            self._advance(count)
        return count


def reason_of(error: OSError | ValueError, file: Path) -> ImportFailed:
    """What to tell the user about a file that the operating system won't give us."""
    if isinstance(error, FileNotFoundError):
        return ImportFailed(f"{file} does not exist: check the path.")
    if isinstance(error, IsADirectoryError):
        return ImportFailed(f"{file} is a folder: give a file.")
    if isinstance(error, PermissionError):
        return ImportFailed(f"{file} may not be read: check its permissions.")
    return ImportFailed(f"{file} can't be read: {getattr(error, 'strerror', None) or error}.")


@contextmanager
def opened(file: Path, advance: Callable[[int], None]) -> Iterator[Reader]:
    """The file's bytes without a byte order mark, unpacked where they are gzip.

    Raises ImportFailed for what is no readable UTF-8 file, also while the caller reads on.
    """
    try:
        try:
            raw = _Counted(file, advance)
        except ValueError as error:  # a NUL in the path
            raise reason_of(error, file) from error
        with io.BufferedReader(raw, _CHUNK) as packed:
            reader: Reader = gzip.GzipFile(fileobj=packed) if packed.peek(2)[:2] == _GZIP else packed
            head = bytes(reader.peek(4)[:4])
            if not head:
                raise ImportFailed(f"{file} is empty: there is nothing to import.")
            if encoding := _foreign_encoding(head):
                raise ImportFailed(f"{file} is {encoding}: save it as UTF-8.")
            if head.startswith(codecs.BOM_UTF8):
                reader.read(len(codecs.BOM_UTF8))
            yield reader
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ImportFailed(f"{file} is damaged or cut off gzip: pack it again, or unpack what is left of it.") from None
    except OSError as error:
        raise reason_of(error, file) from error


def _foreign_encoding(head: bytes) -> str | None:
    """The wide encoding that the first four bytes show: by their mark, or by where the NULs of ASCII text are."""
    if head in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "UTF-32"
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "UTF-16"
    filled = [byte != 0 for byte in head]
    if filled in ([True, False, False, False], [False, False, False, True]):
        return "UTF-32"
    if filled in ([True, False, True, False], [False, True, False, True]):
        return "UTF-16"
    return None


def raw_lines(reader: Reader) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines with their ends; None for a line over the limit, of which no more than the limit is ever held."""
    number = 0
    while line := reader.readline(LIMIT + 1):
        number += 1
        if len(line) <= LIMIT:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = reader.readline(_CHUNK)
        yield number, None


def objects(file: Path, advance: Callable[[int], None]) -> Iterator[Numbered | Refused]:
    """The JSON objects of a JSONL file with their line numbers. Blank lines are passed over."""
    with opened(file, advance) as reader:
        for number, line in raw_lines(reader):
            if line is None:
                yield Refused(number, f"the line is longer than {LIMIT >> 20} MB.")
            elif line.strip():
                try:
                    value = parsed(line, "the line")
                except ValueError as error:
                    yield Refused(number, str(error))
                    continue
                if isinstance(value, dict):
                    yield number, value
                else:
                    yield Refused(number, f"the line is {_KINDS[type(value)]}, not a JSON object.")


def parsed(data: bytes, what: str) -> Any:
    """The JSON value of `data`. Raises ValueError with a sentence about `what` where it is none."""
    if b"\0" in data:
        raise ValueError(f"{what} holds NUL bytes: it was not written completely, or is not text.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8: save the file as UTF-8.") from None
    try:
        return json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        if not data.endswith(b"\n") and what == "the line":
            raise ValueError("the line is cut off: the file ends inside it.") from None
        raise ValueError(f"{what} is not JSON: {error.msg} at character {error.pos + 1}.") from None
    except _NotANumberError as error:
        raise ValueError(f"{what} holds {error}, which is not a number in JSON.") from None
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply.") from None
    except ValueError:  # Python refuses integers of more than 4,300 digits
        raise ValueError(f"{what} holds a number of too many digits.") from None


class _NotANumberError(Exception):
    """NaN or Infinity, which Python would read."""


def _no_number(name: str) -> NoReturn:
    raise _NotANumberError(name)


def whole(file: Path, advance: Callable[[int], None]) -> bytes:
    """All bytes of a small file. Raises ImportFailed where it is not small."""
    with opened(file, advance) as reader:
        data = reader.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise ImportFailed(f"{file} is larger than {LIMIT >> 20} MB: a recorded response is not that large.")
    return data


def _in_folder(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files below `folder` whose names end so, in the order of their paths.

    That order puts `session.jsonl` before `session/subagents/…`. Links to folders are not followed; the `._name`
    files that macOS leaves beside copies are passed over.
    """

    def fail(error: OSError) -> NoReturn:
        raise reason_of(error, Path(error.filename or folder))

    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=fail)
        for name in names
        if name.lower().endswith(tuple(suffixes)) and not name.startswith("._")
    ]
    return sorted(found, key=lambda file: file.as_posix())


def found(path: Path, *groups: Sequence[str]) -> list[Path]:
    """`path` itself, or the files of a folder whose names end as one of the first group that any file belongs to.

    Raises ImportFailed where there is none.
    """
    try:
        if not path.is_dir():
            path.stat()
            return [path]
    except (OSError, ValueError) as error:
        raise reason_of(error, path) from error
    for suffixes in groups:
        if files := _in_folder(path, suffixes):
            return files
    names = " or ".join(suffix for suffixes in groups for suffix in suffixes)
    raise ImportFailed(f"{path} holds no {names} file: give another folder, or a file.")
