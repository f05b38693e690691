"""Checks and conversions that all importers share. A wrong value is an InvalidRecord until it has a line number."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, TypeVar

from agent_ledger import clock
from agent_ledger.errors import InvalidRecord, UnknownUsage
from agent_ledger.hookspecs import Defaults
from agent_ledger.records import Call, Charge, Fact, Inference, Refused, ToolCall
from agent_ledger.validation import check

_Read = TypeVar("_Read")

_INFERENCE = tuple(field.name for field in dataclasses.fields(Inference))


def understood(read: Callable[[], _Read]) -> _Read:
    """What a reader of provider responses makes of one, where it may meet any JSON at all.

    A file may hold shapes that no reader expects. They cost the record and not the import; the sentence names the error
    so that it can be mended.
    """
    try:
        return read()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnknownUsage(
            f"The response has a shape that can't be read ({type(error).__name__}: {error}): report the shape."
        ) from error


def call(inference: Inference, **who: Any) -> Call:
    """The inference as a call: `who` made it and when, and whatever else is known better than the usage block."""
    return Call(**{name: getattr(inference, name) for name in _INFERENCE} | who)


def text(record: Mapping[str, Any], name: str) -> str | None:
    """The text under `name`; None where it is missing, null or blank."""
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRecord(name, value, "give text")
    return value if value.strip() else None


def agent(record: Mapping[str, Any], defaults: Defaults) -> str:
    """Who made the call, by the record or else by the user."""
    agent_id = text(record, "agent_id") or defaults.agent_id
    if agent_id is None:
        raise InvalidRecord("agent_id", record.get("agent_id"), "add it to the record or give --agent-id")
    return agent_id


def sentence(error: Exception) -> str:
    """What an error says, on one line: messages may quote names from the file."""
    said = " ".join(str(error).split())
    return said if len(said) <= 600 else f"{said[:597]}..."


def shown(value: object) -> str:
    """`value` for a message, shortened."""
    full = repr(value)
    return full if len(full) <= 80 else f"{full[:77]}..."


def moment(value: object, name: str = "ts", missing: str = "add it to the record or give --ts") -> str:
    """`value` as ledger time; `missing` says what to do where there is none."""
    if value is None or value == "":
        raise InvalidRecord(name, value, missing)
    try:
        return clock.parse(value)
    except ValueError:
        raise InvalidRecord(name, value, "give a time such as 2026-01-31T09:30:00Z, or Unix seconds") from None


def digest(value: object) -> str:
    """The SHA-256 (hex) of `value` as canonical JSON: keys sorted, no spaces, ASCII only."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def digest_id(value: object) -> str:
    """An id for a record that has none: the same content always gets the same one."""
    return f"sha256:{digest(value)[:32]}"


def checked(line: int | None, make: Callable[[], Iterable[Call | ToolCall]], where: str = "") -> Iterator[Fact]:
    """The facts of one record, all of them or, where one is wrong, one Refused. `where` stands before its reason."""
    try:
        facts = list(make())
        for fact in facts:
            check(fact)
    except (InvalidRecord, UnknownUsage) as error:
        yield Refused(line, f"{where}{sentence(error)}")
        return
    except RecursionError:
        yield Refused(line, f"{where}the record is nested too deeply.")
        return
    yield from facts


class Occurrences:
    """How often a content has come by in a file, so that two equal records get two ids, and the same ones next time.

    They are counted in SQLite's temporary database: it moves to disk by itself, so memory stays flat.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def id(self, content: object) -> str:
        """An id that follows from the content and from how often it came before."""
        key = digest(content)
        times = self.count(bytes.fromhex(key)[:16])
        return f"sha256:{key[:32]}" if times == 1 else f"sha256:{key[:32]}-{times}"

    def count(self, key: bytes) -> int:
        """How often `key` has come by, this time included."""
        sql = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        ((times,),) = self._db.execute(sql, [key]).fetchall()
        return int(times)

    def all_new(self, keys: Sequence[bytes]) -> bool:
        """Count all of `keys`, if each comes by for the first time. Much faster than `count` for each."""
        self._db.execute("SAVEPOINT keys")
        rows = ((key,) for key in keys)
        added = self._db.executemany("INSERT INTO seen VALUES (?, 1) ON CONFLICT DO NOTHING", rows).rowcount
        if added != len(keys):
            self._db.execute("ROLLBACK TO keys")
        self._db.execute("RELEASE keys")
        return added == len(keys)

    def close(self) -> None:
        """Throw the counts away."""
        self._db.close()


def distinct(facts: Iterable[Charge | Refused]) -> Iterator[Fact]:
    """The lines of a bill, each with an id of its own: what comes again gets a number, `-2` and so on."""
    facts = iter(facts)
    with closing(Occurrences()) as occurrences:
        while chunk := list(islice(facts, 1000)):
            ids = [fact.charge_id.encode() for fact in chunk if isinstance(fact, Charge)]
            keys = [hashlib.blake2b(charge_id, digest_size=16).digest() for charge_id in ids]
            if not keys or occurrences.all_new(keys):
                yield from chunk
                continue
            unread = iter(keys)
            for fact in chunk:
                if isinstance(fact, Charge) and (times := occurrences.count(next(unread))) > 1:
                    yield dataclasses.replace(fact, charge_id=f"{fact.charge_id}-{times}")
                else:
                    yield fact
