"""ClickHouse's HTTP interface before the engine that chdb embeds: client, wire and engine are the real ones, the server
between them is this. One question at a time."""

from __future__ import annotations

import base64
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

USER, PASSWORD = "writer", "hunter2"
CLUSTER = "one"
_CONFIG = f"""
<clickhouse>
  <tcp_port>9000</tcp_port>
  <remote_servers>
    <{CLUSTER}><shard>
      <internal_replication>true</internal_replication>
      <replica><host>127.0.0.1</host><port>9000</port></replica>
    </shard></{CLUSTER}>
  </remote_servers>
</clickhouse>
"""
_OF_THE_WIRE = {
    "database",
    "query",
    "query_id",
    "client_protocol_version",
    "default_format",
    "compress",
    "wait_end_of_query",
    "session_id",
}


class Bridge(ThreadingHTTPServer):
    """Answers at `address`; the engine keeps its files in a folder. `cut` may break a connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        config = folder / "config.xml"
        config.write_text(_CONFIG)
        self._path = f"{folder / 'engine'}?config-file={config}"
        self._engine = self._session()  # it runs as long as somebody holds it
        self._lock = threading.Lock()
        self.cut = lambda _: False  # told a statement: is the connection cut before it is run?

    def address(self, database: str, password: str = PASSWORD) -> str:
        return f"clickhouse://{USER}:{password}@127.0.0.1:{self.server_port}/{database}"

    def answer(self, told: dict[str, str], body: bytes) -> bytes:
        """What the engine says. Its errors are raised as they are."""
        with self._lock, closing(self._session()) as session:  # settings and the database are those of one question
            session.query(f"use `{told.get('database', 'default')}`")
            session.query("set max_threads = 1")  # there is little to do, and much to plan
            for name, value in told.items():
                if name not in _OF_THE_WIRE:
                    session.query(f"set {name} = '{value}'")
            statement, _, data = body.partition(b"\n")
            if not statement.startswith(b"INSERT INTO") or not statement.endswith(b"FORMAT Native"):
                return bytes(session.query(body.decode(), told.get("default_format", "TabSeparated")).bytes())
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                into = statement.removesuffix(b"FORMAT Native").decode()
                session.query(f"{into} from infile '{file.name}' format Native")
            return b""

    def _session(self) -> Any:
        return pytest.importorskip("chdb.session").Session(self._path)

    def server_close(self) -> None:
        super().server_close()
        self._engine.close()


class _Handler(BaseHTTPRequestHandler):
    server: Bridge
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.server.cut(body.partition(b"\n")[0].decode()):
            self.close_connection = True
            return
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {expected}":
            text = f"Code: 516. DB::Exception: {USER}: Authentication failed. (AUTHENTICATION_FAILED)"
            self._send(403, text.encode(), code=516)
            return
        told = dict(parse_qsl(urlsplit(self.path).query))
        try:
            self._send(200, self.server.answer(told, _alone(body.decode()).encode() if body[:6] == b"create" else body))
        except Exception as error:
            code = str(error).partition("Code: ")[2].partition(".")[0]
            self._send(500, str(error).encode(), code=int(code or 1))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        else:
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(pieces)
        if self.headers.get("Content-Encoding") == "lz4":
            body = pytest.importorskip("lz4.frame").decompress(body)
        return body

    def _send(self, status: int, body: bytes, *, code: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _alone(statement: str) -> str:
    """As the one node of a cluster runs it. The embedded engine makes replicated tables, and takes no rows for them."""
    statement = statement.replace(f" on cluster '{CLUSTER}'", "")
    return re.sub(r"Replicated(\w+)\('[^']*', '[^']*'\)", r"\1", statement)


@contextmanager
def bridge(folder: Path) -> Iterator[Bridge]:
    """A bridge that is up within the block, before an engine that is a cluster of one node."""
    with Bridge(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
