"""The contract for plugins: what a price source, a sink, an importer and a notifier are, and how they are registered.

A plugin is a module with `hookimpl`-marked functions, found through the entry point group `agent_ledger`. Hooks
register objects; the host calls the objects one by one, so that one failing plugin never silences another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import pluggy

from agent_ledger.records import Fact, PriceRevision

hookspec = pluggy.HookspecMarker("agent_ledger")
hookimpl = pluggy.HookimplMarker("agent_ledger")


class PriceSource(Protocol):
    """Somebody who knows what models cost."""

    name: str
    """Stands in `price_revision.source`; unique among the sources."""
    priority: int
    """The highest priority wins where several price a call. Contract prices have 100, list prices 50 or less."""
    dated: bool
    """Does the source say from when a price holds? If not, a price that changes holds from when it was first seen."""

    def prices(self, provider: str | None, model: str) -> Sequence[PriceRevision]:
        """Everything the source says about `model` of `provider`, as they stand in the ledger (None: not recorded).

        Rows carry exactly the given provider and model. An empty list means "I don't know this model"; rows that the
        ledger already has are kept then. May raise: the ledger keeps what it has and reports the failure. Must work
        offline unless the user asked for a download.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the user says about all records of an import, for what the file itself leaves open."""

    agent_id: str | None = None
    customer_id: str | None = None
    feature: str | None = None
    session_id: str | None = None
    provider: str | None = None
    model: str | None = None
    ts: str | None = None
    delivery: str | None = None  # the name of the delivery, where several files of a bill belong together
    cost_measure: str | None = None  # of the bill's lines: unblended, net_unblended, effective, …; None: unblended


class Importer(Protocol):
    """Somebody who reads one file format."""

    name: str
    """The FORMAT of `agent-ledger import LEDGER FORMAT FILE…`."""
    summary: str
    """One line for the help text."""
    # is_bill: bool = True, where the files of one folder are the parts of one delivery of a bill. May be left out.

    def files(self, path: Path) -> Sequence[Path]:
        """The files that `path` stands for: itself, or what it finds in a folder, in a stable order.

        Raises ImportFailed where there is none.
        """

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """The facts of one file, lazily and in flat memory; `Refused` for a record that can't be read.

        Calls `advance` with the number of bytes it has come further. Raises ImportFailed where the file as a whole
        can't be read; then nothing of it is stored. Reading the same file again must give the same facts: a record
        without an id of its own gets one that follows from its content.
        """


@dataclass(frozen=True, slots=True)
class Host:
    """Whose rows they are: a ledger file, as a sink knows it among those of other hosts."""

    number: int  # drawn once for the file, below 2^30; in the ids of its rows, see shipped.py
    name: str  # of the machine, for people


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table that are shipped together. `first` and `last` say which of the ledger they are: sent again,
    after whatever went wrong, a batch has the same bounds and the same rows."""

    table: str
    """Its name at the far side."""
    columns: tuple[str, ...]
    """`host` is the first."""
    rows: Sequence[tuple[Any, ...]]
    """Text, integers, floats and None; ids are those of the far side. They are read from the ledger when somebody looks
    at them: look before `write` returns."""
    first: int
    last: int
    months: frozenset[str] = frozenset()
    """YYYY-MM of the rows, where the table is divided by time."""
    alike: Sequence[int] | None = None
    """Ids of this ledger's rows that don't count, where they or what counts instead are in the batch. None: nobody
    knows."""
    lines: Callable[[], Iterable[str]] | None = None
    """Of calls and tool calls: the same rows, several times faster, in pieces of text as PostgreSQL's COPY reads it
    with (null '')."""


class Sink(Protocol):
    """Somebody who takes committed facts elsewhere."""

    name: str
    """What kind of place it is, for messages."""
    form: str
    """What a destination looks like, for the help text: postgresql://HOST/DATABASE."""
    batch_rows: int
    """How many rows it likes to take at once."""

    def accepts(self, destination: str) -> bool:
        """Is it a place of this kind? Looks at the text only."""

    def address(self, destination: str) -> str:
        """The destination without user, password and options: names the cursor in the ledger, and is shown."""

    def open(self, destination: str, host: Host) -> Target:
        """Connect, and make what is missing there. Raises SinkDown where trying again may help, else LedgerError."""


class Target(Protocol):
    """An open destination. All methods raise SinkDown where trying again may help, else LedgerError."""

    def write(self, batch: Batch) -> None:
        """Add rows, in the order they were committed; when it returns they are durable. A batch that is there already,
        wholly or in part, must add nothing."""

    def replace(self, batch: Batch) -> None:
        """Put `rows` in place of everything that this host has in the table."""

    def settle(self) -> None:
        """All that there was has been written: bring in step what is derived from it at the far side."""

    def close(self) -> None:
        """Let go of it. Never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What happened, for people and for programs."""

    id: str
    """The same for each try, so that a receiver can tell a message that comes twice."""
    title: str
    text: str
    """One fact per line: who, how much, what was done, until when, what to do about it."""
    data: Mapping[str, Any]
    """The same as JSON values."""


class Notifier(Protocol):
    """Somebody who tells an owner what happened."""

    name: str
    """Stands in `notification.notifier`; unique among the notifiers, and no secret."""

    def notify(self, message: Message) -> None:
        """Deliver one message within a few seconds. Raising keeps it for another try.

        `NotificationFailed` says why and when to try again; of any other error only the kind is kept, because its text
        may hold the address. Addresses and passwords come from the environment, and go nowhere else.
        """


@hookspec
def register_price_sources(register: Callable[[PriceSource], None]) -> None:
    """Offer price sources: call `register(source)` once for each."""


@hookspec
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer file formats: call `register(importer)` once for each."""


@hookspec
def register_sinks(register: Callable[[Sink], None]) -> None:
    """Offer sinks: call `register(sink)` once for each. The first that accepts a destination gets it, plugins first."""


@hookspec
def register_notifiers(register: Callable[[Notifier], None]) -> None:
    """Offer notifiers: call `register(notifier)` once for each that the environment has an address for. Asked anew each
    time that something is to be told."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to `agent-ledger`: decorate functions with `@cli.command()`."""
