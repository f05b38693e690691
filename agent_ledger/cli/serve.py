"""`agent-ledger serve`."""

from __future__ import annotations

import socket
import sqlite3
import threading
import webbrowser
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from agent_ledger import schema
from agent_ledger.cli.options import ledger_argument
from agent_ledger.errors import LedgerError

_LOOPBACK = "127.0.0.1"
_BROWSER_WAIT_S = 1.0  # until the server answers


@click.command()
@ledger_argument
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True, help="0: any free one.")
@click.option("--open", "open_browser", is_flag=True, help="Open the overview in the browser.")
def serve(ledger: Path, port: int, open_browser: bool) -> None:
    """Show the ledger in the browser: Datasette with the pages of this package.

    Only this machine can reach it, the file is opened read-only, and it can't be downloaded. It needs the extra
    datasette. To show it to others, run Datasette yourself, with its permissions.

    \b
    Examples:
      agent-ledger serve ledger.db --open
    """
    schema.open_for_reading(ledger).close()
    server = _server()
    application, overview = _application(ledger)
    with closing(_bound(port)) as listening:
        address = f"http://{_LOOPBACK}:{listening.getsockname()[1]}{overview}"
        click.echo(f"{address} (Ctrl-C ends it)")
        if open_browser:
            threading.Timer(_BROWSER_WAIT_S, webbrowser.open, [address]).start()
        with suppress(KeyboardInterrupt):
            server.Server(server.Config(application, log_level="warning")).run(sockets=[listening])


def _server() -> Any:
    try:
        import datasette  # noqa: F401  # looked for before anything else is
        import uvicorn
    except ImportError:
        raise LedgerError(
            "serve needs Datasette, which is not installed: pip install 'agent-cost-ledger[datasette]'"
        ) from None
    return uvicorn


def _application(ledger: Path) -> tuple[Any, str]:
    """Datasette with this one file, and the address of its overview."""
    from datasette.app import Datasette
    from datasette.database import Database

    class ReadOnly(Database):  # type: ignore[misc]  # Datasette ships no types
        """A file that nobody writes to through this server, whatever they may do."""

        def connect(self, write: bool = False) -> sqlite3.Connection:
            if write:
                raise LedgerError(f"{ledger} is opened read-only")
            return super().connect()  # type: ignore[no-any-return]

    datasette = Datasette([], settings={"allow_download": False})
    datasette.remove_database("_memory")
    path = str(ledger.resolve())
    database = datasette.add_database(ReadOnly(datasette, path=path, is_mutable=_is_readable(path)), name=ledger.stem)
    return datasette.app(), f"{datasette.urls.database(database.name)}/-/ledger"


def _is_readable(path: str) -> bool:
    """Can it be read as a file that others write to? Not in WAL mode in a folder that we may not write to."""
    try:
        with closing(sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("select 1 from sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        return False
    return True


def _bound(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_LOOPBACK, port))
        listening.listen()  # who asks before the server is ready waits
    except OSError as error:
        listening.close()
        raise LedgerError(f"port {port} can't be used ({error.strerror}): give another with --port") from error
    return listening
