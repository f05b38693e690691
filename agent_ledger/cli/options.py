"""Arguments and options that several commands share, and what turns their text into values."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from agent_ledger import clock, far, money, plugins
from agent_ledger.cli.errors import usage_error
from agent_ledger.errors import LedgerError
from agent_ledger.far import Address
from agent_ledger.hookspecs import Importer, PriceSource
from agent_ledger.ledger import reading
from agent_ledger.schema import scripts
from agent_ledger.selecting import Selects

Command = TypeVar("Command", bound=Callable[..., Any])
Context = click.Context
Parameter = click.Parameter

_ABSURD = 10**12  # no amount comes near; an exponent such as 1e999999 would take all memory as a whole number

ledger_argument = click.argument("ledger", type=click.Path(path_type=Path))
"""The ledger file. What it must be is checked where it is opened."""


class _Source(click.ParamType):  # type: ignore[type-arg]
    """A ledger file, or the address of an engine that ledgers are shipped to."""

    name = "ledger"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Path | Address:  # noqa: ARG002
        if isinstance(value, Path | Address):
            return value
        return Address(value) if far.is_address(value) else Path(value)

    def shell_complete(self, ctx: Context, param: Parameter, incomplete: str) -> list[CompletionItem]:
        return click.Path().shell_complete(ctx, param, incomplete)


source_argument = click.argument("ledger", type=_Source())
"""The ledger file, or what many were shipped to: postgresql://…, clickhouse://…, a folder of Parquet files."""


@contextmanager
def opened(source: Path | Address, *, as_of: str | None = None, **of_files: object) -> Iterator[Selects]:
    """The views of a ledger file, or those at an address. `of_files`: options that only a file can answer."""
    if isinstance(source, Path):
        with reading(source, as_of=as_of) as connection:
            yield connection
        return
    for option, value in {"as_of": as_of, **of_files}.items():
        if value:
            name = option.replace("_", "-")
            raise usage_error(f"--{name} takes the ledger file of a host: {source} has the figures of all, as of now")
    with far.reading(source) as connection:
        yield connection


class LedgerCommands(click.Group):
    """Commands after a ledger, as in `prices LEDGER list`. `prices list -h` helps without one too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] in self.commands and {"-h", "--help"}.intersection(args):
            args = ["LEDGER", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


def file_path() -> click.Path:
    """The type of an argument that is another file."""
    return click.Path(path_type=Path)


def as_of_option(command: Command) -> Command:
    """--as-of: the figures as they were known then."""
    return click.option(
        "--as-of",
        metavar="TIME",
        callback=_checked(clock.parse, "give a date or a time such as 2026-01-31T12:00:00Z"),
        help="Use the prices that this ledger knew at that moment (UTC).  [default: all prices known now]",
    )(command)


def moment_option(*names: str, help: str) -> Callable[[Command], Command]:  # noqa: A002
    """An option that takes a date (its UTC midnight) or a time."""
    return click.option(
        *names,
        metavar="DATE|TIME",
        callback=_checked(clock.parse, "give a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z"),
        help=help,
    )


def text_option(*names: str, help: str) -> Callable[[Command], Command]:  # noqa: A002
    """An option that takes text, and not the empty one."""
    return click.option(*names, callback=_checked(_filled, "give text that is not empty"), help=help)


def amount_option(*names: str, help: str, required: bool = False) -> Callable[[Command], Command]:  # noqa: A002
    """An option that takes an exact amount of dollars."""
    callback = _checked(_amount, "give an amount in dollars, such as 2.50")
    return click.option(*names, metavar="USD", callback=callback, help=help, required=required)


def amount_argument(name: str, metavar: str) -> Callable[[Command], Command]:
    """An argument that is an exact amount of dollars."""
    return click.argument(name, metavar=metavar, callback=_checked(_amount, "give an amount in dollars, such as 2.50"))


def share_option(*names: str, help: str) -> Callable[[Command], Command]:  # noqa: A002
    """An option that takes a share, such as 15% or 0.15."""
    return click.option(
        *names, metavar="SHARE", callback=_checked(_share, "give a share such as 15% or 0.15"), help=help
    )


def zone_option(command: Command) -> Command:
    """--tz: whose calendar days and months are meant."""
    return click.option(
        "--tz",
        "zone",
        metavar="ZONE",
        default="UTC",
        show_default=True,
        callback=_zone,
        shell_complete=_completing(zoneinfo.available_timezones),
        help="Whose calendar days and months are meant: an IANA time zone such as Europe/Berlin.",
    )(command)


def format_argument(command: Command) -> Command:
    """FORMAT: the name of an importer; the command gets `importer`."""
    return click.argument(
        "importer", metavar="FORMAT", callback=_importer, shell_complete=_completing(lambda: importers())
    )(command)


def view_argument(command: Command) -> Command:
    """VIEW: a view or a table."""
    return click.argument("view", shell_complete=_completing(lambda: scripts("views")))(command)


def importers() -> dict[str, Importer]:
    """All import formats. Raises LedgerError where a plugin can't be loaded."""
    return _of_plugins(plugins.importers)


def price_sources() -> list[PriceSource]:
    """All price sources. Raises LedgerError where a plugin can't be loaded."""
    return _of_plugins(plugins.price_sources)


Found = TypeVar("Found")


def _of_plugins(find: Callable[[], Found]) -> Found:
    try:
        return find()
    except Exception as error:  # a plugin is somebody else's code
        raise LedgerError(
            f"a plugin can't be loaded ({type(error).__name__}: {error}): update it or remove it"
        ) from error


def _checked(convert: Callable[[str], Any], remedy: str) -> Callable[[Context, Parameter, str | None], Any]:
    def callback(ctx: Context, param: Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return convert(value)
        except ValueError:
            raise click.BadParameter(f"{value!r}: {remedy}", ctx, param) from None

    return callback


def _filled(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError(text)
    return text


def _amount(text: str) -> Decimal:
    number = money.decimal(text)
    if abs(number) > _ABSURD:
        raise ValueError(text)
    return number


def _share(text: str) -> Decimal:
    return _amount(text.strip().removesuffix("%")) / 100 if text.strip().endswith("%") else _amount(text)


def _zone(ctx: Context, param: Parameter, value: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as "America"
        like = _like(value, zoneinfo.available_timezones())
        raise click.BadParameter(
            f"there is no time zone {value!r}: give an IANA name such as {like or 'Europe/Berlin'}", ctx, param
        ) from None


def _importer(ctx: Context, param: Parameter, value: str) -> Importer:
    known = importers()
    if value not in known:
        raise click.BadParameter(f"there is no format {value!r}: give one of {', '.join(sorted(known))}", ctx, param)
    return known[value]


def _like(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant: the name of a city alone is understood too."""
    lower = {name.lower(): name for name in sorted(words)}
    cities = {name.rsplit("/", 1)[-1]: name for name in lower.values()}
    by_city = {city.lower(): name for city, name in cities.items()}
    wanted = word.lower().replace(" ", "_")
    near = difflib.get_close_matches(wanted, lower, 1) or difflib.get_close_matches(wanted, by_city, 1)
    return (lower | by_city)[near[0]] if near else None


def _completing(
    words: Callable[[], Iterable[str]],
) -> Callable[[Context, Parameter, str], list[CompletionItem]]:
    def complete(ctx: Context, param: Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
        return [CompletionItem(word) for word in sorted(words()) if word.lower().startswith(incomplete.lower())]

    return complete
