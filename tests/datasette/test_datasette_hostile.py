"""Whatever text stands in a ledger is shown as text, and its page opens by its link."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from datasette_agent_ledger import compat, links
from datasette_server import Server, hrefs, shown
from support import call, raw, tool_call

from agent_ledger import Ledger, closing, plugins

pytestmark = pytest.mark.filterwarnings("ignore")  # Datasette's own

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "slash": "a/b/../c",
    "percent": "100%25 %2F %",
    "query": "a?b=c&d#e;f",
    "dots": "..",
    "rtl": "\u202egnirts\u202c \u05e9\u05dc\u05d5\u05dd",
    "emoji": "\U0001f469\u200d\U0001f680 agent",
    "tilde": "~2F+ plus",
    "template": "{{ 1234567 * 8 }}{% raw %}",
    "newline": "two\nlines",
    "long": "agent-" + "x" * 9_994,
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "ledger.db"
    with pytest.MonkeyPatch.context() as patch, Ledger(path) as ledger:
        patch.setattr(plugins, "price_sources", list)
        for name, text in HOSTILE.items():
            ledger.assign(text, team=f"team {text}", feature=f"feature {text}", owner=text)
            ledger.record_call(
                **call(
                    request_id=f"request {text}", agent_id=text, model=f"model {text}", provider=text,
                    customer_id=f"customer {text}", anomaly=text, service_tier=text, region=text, session_id=text,
                )
            )  # fmt: skip
            ledger.record_tool_call(
                **tool_call(
                    tool=text, server=text, tool_call_id=name, request_id=f"request {text}", resource_id=text,
                    operation=text, unit=text, units=1, cost_usd=1,
                )
            )  # fmt: skip
        ledger.record_tool_call(**tool_call(tool="<b>t", server="<b>s", request_id="<b>lost", tool_call_id="lost"))
        with raw(ledger) as connection:
            closing.close(connection, "2026-01", reason="<script>why", closed_by="<script>who")
        ledger.record_call(**call(agent_id="<script>late", request_id="<script>late"))
    return path


@pytest.fixture(scope="module")
def server(hostile: Path) -> Iterator[Server]:
    found = Server(hostile)
    yield found
    found.close()


def safe(html: str) -> bool:
    body = shown(html)
    return "<script" not in body.lower() and 'onmouseover="' not in body and "<b>" not in body and "9876536" not in body


@pytest.mark.parametrize("page", ["", "/reconciliation", "/prices", "/quality", "/budgets"])
def test_pages_show_text_as_text(server: Server, page: str) -> None:
    for query in ("", "?by=team", "?by=customer&cost=all", "?by=model", "?by=feature"):
        answer = server.get(f"/ledger/-/ledger{page}{query if page == '' else ''}")
        assert answer.status_code == 200
        assert safe(answer.text)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("axis", [*links.AXES, "request"])
def test_any_key_opens_by_its_link(server: Server, name: str, axis: str) -> None:
    key = HOSTILE[name] if axis == "agent" else f"{axis} {HOSTILE[name]}"
    answer = server.get(links.of(server.datasette, "ledger", axis, key))
    assert answer.status_code == 200, answer.text[:500]
    assert safe(answer.text)
    assert key in _unescaped(answer.text)
    if axis == "request":
        assert "Tool calls" in answer.text
    else:
        assert "request " in shown(answer.text), "its call is listed"


def test_the_links_of_the_overview_are_those(server: Server) -> None:
    for axis in links.AXES:
        answer = server.get(f"/ledger/-/ledger?by={axis}")
        found = {href.partition("?")[0] for href in hrefs(answer.text) if f"/-/ledger/{axis}/" in href}
        for text in HOSTILE.values():
            key = text if axis == "agent" else f"{axis} {text}"
            assert links.of(server.datasette, "ledger", axis, key) in found or len(found) >= 12, (axis, key[:40])


def test_the_cells_of_datasettes_own_pages_are_links(server: Server) -> None:
    answer = server.get("/ledger/call_cost?_size=100")
    assert answer.status_code == 200
    for text in HOSTILE.values():
        for axis, key in (("agent", text), ("model", f"model {text}"), ("request", f"request {text}")):
            assert links.of(server.datasette, "ledger", axis, key) in hrefs(answer.text), (axis, key[:40])
    assert "<script>alert" not in answer.text
    query = server.get(compat.sql_href(server.datasette, "ledger", "select agent_id from ledger", {}))
    assert links.of(server.datasette, "ledger", "agent", "a/b/../c") in hrefs(query.text)


def test_a_database_with_a_hostile_name_works(hostile: Path, tmp_path: Path, serve: Callable[..., Server]) -> None:
    path = tmp_path / "my ledger (50) & co.db"
    path.write_bytes(hostile.read_bytes())
    database = path.stem
    server = serve(path)
    home = links.home(server.datasette, database)
    assert server.get(home).status_code == 200
    for href in hrefs(shown(server.get(home).text)):
        if "/agent/" in href or href.endswith("/quality"):
            assert server.get(href).status_code == 200, href


def _unescaped(html: str) -> str:
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        html = html.replace(entity, sign)
    return html
