"""Which of the attached databases are ledgers: told by their schema, so that all others are left alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

APPLICATION_ID = 0x41474C44  # "AGLD", in the header of every ledger file

_SCHEMA = """
select
  (select application_id from pragma_application_id) as application_id,
  (select schema_version from pragma_schema_version) as schema_version
"""


@dataclass(frozen=True, slots=True)
class Attached:
    """A ledger that Datasette has open."""

    database: str
    db: Any = field(repr=False)
    views: dict[str, str] = field(repr=False)  # their SQL, by name
    tables: dict[str, str] = field(repr=False)

    def has(self, name: str) -> bool:
        """Has it this table or view?"""
        return name in self.views or name in self.tables


_known: WeakKeyDictionary[Any, tuple[int, Attached]] = WeakKeyDictionary()


async def ledger(datasette: Any, database: str) -> Attached | None:
    """The ledger of that name; None: there is no such database, or it is something else."""
    db = datasette.databases.get(database)
    if db is None:
        return None
    found = (await db.execute(_SCHEMA)).first()
    if found["application_id"] != APPLICATION_ID:
        return None
    version, attached = _known.get(db, (None, None))
    if version != found["schema_version"] or attached is None:
        rows = (await db.execute("select type, name, sql from sqlite_schema where type in ('table', 'view')")).rows
        attached = Attached(
            database=database,
            db=db,
            views={row["name"]: row["sql"] for row in rows if row["type"] == "view"},
            tables={row["name"]: row["sql"] or "" for row in rows if row["type"] == "table"},
        )
        _known[db] = (found["schema_version"], attached)
    return attached


async def ledgers(datasette: Any) -> list[Attached]:
    """All ledgers that Datasette has open, in its order."""
    found = [await ledger(datasette, database) for database in datasette.databases if database != "_internal"]
    return [attached for attached in found if attached is not None]


def is_known(datasette: Any, database: str) -> bool:
    """Is it a ledger that was found before? For hooks that can't wait."""
    return datasette.databases.get(database) in _known
