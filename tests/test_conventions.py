"""What the project promises about itself: a convention that is not a failing test decays."""

from __future__ import annotations

import ast
import inspect
import re
import sqlite3
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import closing as closing_of
from pathlib import Path
from typing import Any

import pytest
from closed_loop import govern
from directed import cap
from support import add_bill, add_prices, call, price, query, raw, spent, tool_call

import agent_ledger
from agent_ledger import Ledger, closing, compacting, plugins, reporting, schema

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "agent_ledger"
PLUGIN = ROOT / "datasette_plugin" / "datasette_agent_ledger"
TESTS = ROOT / "tests"
MODULES = sorted([*PACKAGE.rglob("*.py"), *PLUGIN.rglob("*.py")])
SQL = sorted(PACKAGE.rglob("*.sql"))
VIEWS, CHECKS, TABLES = (sorted(schema.scripts(folder)) for folder in ("views", "checks", "tables"))
COLUMN = re.compile(r"^(\w+) +(text|integer|real) +(\S.*)$")


def name_of(path: Path) -> str:
    """agent_ledger/usage/sse.py -> usage.sse; agent_ledger/usage/__init__.py -> usage."""
    home = PACKAGE if path.is_relative_to(PACKAGE) else PLUGIN.parent
    parts = path.relative_to(home).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def header(view: str) -> str:
    found = re.match(r"/\*\n(.*?)\n\*/\n", schema.scripts("views")[view], re.DOTALL)
    assert found, f"{view} begins with its documentation"
    return found[1]


def documented(view: str) -> dict[str, str]:
    """The columns that the header lists, with their types."""
    lines = header(view).rpartition("\n\n")[2].splitlines()
    found = [COLUMN.match(line) for line in lines]
    assert all(found), (view, [line for line, match in zip(lines, found, strict=True) if not match])
    return {match[1]: match[2] for match in found if match}


def body(text: str) -> str:
    """SQL without comments and text in quotes."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"'[^']*'", "''", re.sub(r"--.*", "", text))


# -- views ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger where every view has rows. Nobody writes to it."""
    path = tmp_path_factory.mktemp("filled") / "ledger.db"
    with pytest.MonkeyPatch.context() as patch, Ledger(path) as ledger:
        patch.setattr(plugins, "price_sources", list)
        yield _filled(ledger)


def _filled(ledger: Ledger) -> Ledger:
    spent(ledger)
    cap(ledger)
    everything: dict[str, Any] = {
        "provider": "p", "customer_id": "c", "session_id": "s", "feature": "f", "cache_read_tokens": 5,
        "cache_write_tokens": 5, "cache_write_1h_tokens": 1, "reasoning_tokens": 1, "web_search_requests": 1,
        "service_tier": "batch", "region": "us", "response_id": "x", "tier_tokens": 9, "reported_cost_usd": 1,
        "anomaly": "odd", "usage": {"u": 1},
    }  # fmt: skip
    ledger.record_call(**call(request_id="all", **everything))
    ledger.record_call(**call(request_id="all", **{**everything, "agent_id": "b", "evidence": "log"}))
    ledger.record_tool_call(**tool_call(server="s", agent_id="a", resource_id="b", units=1, cost_usd=1))
    ledger.record_tool_call(**tool_call(tool="other"))
    add_prices(
        ledger,
        price(source="x", provider="p", service_tier="batch", region="us", input=1, output=1, cache_read=1,
              cache_write=1, cache_write_1h=1, web_search=1, request=1, above_tokens=5, units={"u": 1},
              effective_from="2026-01-01T00:00:00.000Z", source_model="M", basis="published"),
        price(source="x", provider="p", service_tier="batch", region="us", input=1, output=1),
        price(source="y", provider="p", service_tier="batch", region="us", input=2, output=2, above_tokens=5),
        price(source="z", input=1, output=1, time_from="08:00", time_to="09:00", cache_write=1, web_search=7,
              effective_to="2100-01-01T00:00:00.000Z"),
    )  # fmt: skip
    with raw(ledger) as connection:
        add_bill(connection)
        closing.close(connection, "2026-01", reason="month end", closed_by="zoe")
    ledger.record_call(**call(request_id="late"))
    with closing_of(schema.open_for_writing(ledger.path, synchronous="off")) as connection:
        compacting.compact(connection)
    ledger.record_call(**call(request_id="late", response_id="better"))  # the first of the month leaves the rollups
    with raw(ledger) as connection:
        connection.execute(
            "insert into archive values (1, 'ledger', 'old.parquet', '2020', '2021', 1, 1, '2020', '2020', 1, 1, 1, 9,"
            " hex(zeroblob(32)), hex(zeroblob(32)), '2026', 0)"
        )
        govern(connection)
    return ledger


@pytest.mark.parametrize("view", VIEWS)
def test_the_header_of_a_view_lists_its_columns_in_order_with_their_types(filled: Ledger, view: str) -> None:
    columns = documented(view)
    with raw(filled) as connection:
        assert [row[1] for row in connection.execute(f"pragma table_info({view})")] == list(columns)
        rows = connection.execute(
            f"select {', '.join(f'typeof({column})' for column in columns)} from {view}"
        ).fetchall()
    assert rows, "the ledger of this test must fill every view"
    for row in rows:
        for (column, kind), found in zip(columns.items(), row, strict=True):
            assert found in ("null", kind), (view, column)


@pytest.mark.parametrize("view", VIEWS)
def test_every_computed_column_of_a_view_is_cast(filled: Ledger, view: str) -> None:
    """Without an affinity a number is not found by its text, so that Datasette's filters are silently wrong."""
    with raw(filled) as connection:
        for column, kind in documented(view).items():
            found = connection.execute(f"select {column} from {view} where {column} is not null limit 1").fetchone()
            if found is None:
                continue
            same = f"select count(*) from {view} where {column} = ?"
            assert connection.execute(same, [str(found[0])]).fetchone()[0], (view, column, "has no affinity")
            if kind == "text":
                continue
            assert connection.execute(same, [found[0]]).fetchone()[0], (view, column)
    if sqlite3.sqlite_version_info >= (3, 41):  # older ones do not tell the type of an expression
        for _, name, kind, *_ in query(filled, f"pragma table_info({view})"):
            assert kind, (view, name)


@pytest.mark.parametrize("view", VIEWS)
def test_the_header_of_a_view_has_a_question_its_grain_and_what_it_reads(view: str) -> None:
    lines = header(view).splitlines()
    assert "?" in lines[0], "the question it answers"
    text = header(view)
    assert re.search(r"^Grain: .+\.$", text, re.MULTILINE)
    found = re.search(r"^Reads: ([\w,\s]+?)\.$", text, re.MULTILINE)
    assert found
    named = found[1].replace(",", " ").split()
    sql = body(schema.scripts("views")[view])
    own = set(re.findall(r"(?:with|recursive|,)\s+(\w+)(?: \([\w, ]+\))? as (?:materialized )?\(", sql))
    read = {name for name in re.findall(r"\b(?:from|join)\s+(\w+)", sql) if name not in own | {"json_each"}}
    assert sorted(named) == sorted(read), view


@pytest.mark.parametrize("view", VIEWS)
def test_columns_of_money_and_the_width_of_a_line(view: str) -> None:
    for line in header(view).splitlines():
        assert len(line) <= 200, line
    for column, kind in documented(view).items():
        if column.endswith("_usd"):
            assert kind == "real", column
        if kind == "integer":
            assert not column.endswith("_usd"), column


@pytest.mark.parametrize(("folder", "name"), [*(("views", v) for v in VIEWS), *(("checks", c) for c in CHECKS)])
def test_every_view_and_check_has_its_test(folder: str, name: str) -> None:
    assert (TESTS / folder / f"test_{folder[:-1]}_{name}.py").is_file()


def test_every_test_of_a_view_or_check_has_its_object() -> None:
    for folder, names in (("views", VIEWS), ("checks", CHECKS)):
        for path in (TESTS / folder).glob("test_*.py"):
            assert path.stem.removeprefix(f"test_{folder[:-1]}_") in names, path


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.stem)
def test_a_sql_file_defines_what_it_is_named_after(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.endswith("\n")
    assert "\t" not in text
    if path.parent.name == "tables":
        assert text.startswith(f"create table {path.stem} (\n  -- "), "a table explains itself"
        assert re.search(r"^\) strict", text, re.MULTILINE)
    else:
        assert text.startswith("/*"), "the header is inside, so that SQLite keeps it"


def test_c75_the_cost_of_a_call_is_defined_in_one_place() -> None:
    """And of many calls at one price in another; token_cost tells what each kind of tokens is of it."""
    buckets = "input|cache_read|cache_write|cache_write_1h|output|reasoning|web_search"
    multiplied = re.compile(
        rf"\*\s*\(?\s*(rate\.)?({buckets})\b(?!_)|rate\.({buckets})\s*\*|_tokens\)?\s*\*\s*[a-z_(]", re.I
    )
    found = {path.relative_to(PACKAGE).as_posix() for path in SQL if multiplied.search(body(path.read_text("utf-8")))}
    assert found == {"sql/views/call_cost.sql"}
    by_unit = re.compile(r"\*\s*\w*unit_picos\b|\bunit_picos\s*\*")
    assert {path.stem for path in SQL if by_unit.search(body(path.read_text("utf-8")))} == {"rollup_cost", "token_cost"}
    reads_rate = {path.stem for path in SQL if re.search(r"\b(from|join) rate\b", body(path.read_text("utf-8")))}
    assert reads_rate <= {"call_cost", "rollup_cost", "usage_place", "price", "overlapping_rates"}
    for path in MODULES:
        text = path.read_text("utf-8")
        assert not re.search(r"(prompt|completion|cache_\w+)_tokens\s*\*\s*\w", text), path
        assert not re.search(r"\w\s\*\s\w*\.?(prompt|completion|cache_\w+)_tokens\b", text), path


NEAREST_DOUBLE = (
    "iif( abs(whole + rest / 244140625) < 36893488, (whole * 244140625 + rest) / 1e12, "
    "(whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12 )"
)


def test_sums_become_dollars_by_one_expression() -> None:
    """SQLite has no functions of one's own, so it stands in several files: the same in all of them."""
    assert 244140625 * 4096 == 10**12
    assert 36893488 * 244140625 <= 2**53 < 36893489 * 244140625
    for text in [*(schema.scripts("views")[name] for name in VIEWS), inspect.getsource(reporting)]:
        # Several sums of one view are called llm_whole, tool_whole, …
        same = " ".join(re.sub(r"(\b\w+_|\{\w+\})(?=(whole|rest)\b)", "", text).split())
        assert same.count(NEAREST_DOUBLE) == same.count("36893488")


@pytest.mark.parametrize(("views", "axes"), [("cost_by", reporting.AXES), ("all_in_by", reporting.ALL_IN_AXES)])
def test_the_views_by_axis_differ_in_their_key_only(views: str, axes: Iterable[str]) -> None:
    assert len({_without_key(views, axis, reporting.AXES[axis]) for axis in axes}) == 1


def _without_key(views: str, axis: str, key: str) -> str:
    """The view without its key, which is a column or made from one, and without the grain of sums that has it."""
    text = re.sub(r"grain in \('\w+', 'call'\)", "GRAIN", body(schema.scripts("views")[f"{views}_{axis}"]))
    made = {"day": r"substr\(bucket, 1, 10\) as day", "month": r"substr\(bucket, 1, 7\) as month"}
    for form in (made.get(key, rf"coalesce\({key}, '.*'\) as {key}"), key, rf"cast\({key} as text\) as {key}"):
        text = re.sub(rf"(?m)^  +{form},$", "KEY,", text)
    return text


def test_the_statement_of_the_contract_runs_verbatim(filled: Ledger) -> None:
    statement = """
    SELECT agent_id, SUM(prompt_tokens * input_price + completion_tokens * output_price)
    FROM ledger JOIN price ON ledger.model = price.model GROUP BY agent_id
    """
    assert dict(query(filled, statement))["a"] > 0


# -- modules ----------------------------------------------------------------------------------------------------------

# Each module may import from its own layer and those before it, never in a circle.
LAYERS = (
    ("errors", "money", "clock", "periods", "selecting"),
    ("records",),
    ("validation", "hookspecs", "pricing"),
    ("attribution", "recording", "schema", "shipped", "usage", "prices", "resources", "shares"),
    (
        "plugins",
        "pricebook",
        "bills",
        "bill_settings",
        "allocation",
        "closing",
        "importers",
        "importing",
        "reporting",
        "repricing",
        "exporting",
        "checks",
        "connection",
        "spool",
        "grains",
        "cells",
        "call_sums",
        "tool_sums",
        "rollup",
        "tool_rollup",
        "course",
        "rollup_limits",
        "compacting",
        "assigning",
        "archive_choice",
        "archive_files",
        "archive_identity",
        "archive_reading",
        "archiving",
        "summing",
        "dialects",
        "far",
        "parquet_views",
        "ship_cursors",
        "ship_rows",
        "shipping",
        "sinks",
    ),
    ("price_lookup", "stamping"),
    ("control",),
    ("capture",),
    ("ledger",),
    ("",),
    ("demo", "integrations"),
    ("cli", "__main__", "datasette_agent_ledger"),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
HAS_NO_TEST_OF_ITS_OWN = {"", "__main__", "errors"}  # names, and what every other test meets


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def own_imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    names = {name_of(module) for module in MODULES}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            modules = [node.module or ""]
            if modules[0].split(".")[0] in ("agent_ledger", "datasette_agent_ledger"):
                modules = [f"{modules[0]}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            first, _, rest = module.partition(".")
            target = rest if first == "agent_ledger" else module
            if first not in ("agent_ledger", "datasette_agent_ledger"):
                continue
            while target and target not in names:
                target = target.rpartition(".")[0]
            yield target, node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    mine = name_of(path).split(".")[0]
    assert mine in LAYER, f"say in LAYERS where {mine} belongs"
    for target, _ in own_imports(path):
        assert LAYER[target.split(".")[0]] <= LAYER[mine], f"{name_of(path)} imports {target}"
    if mine == "datasette_agent_ledger":
        assert all(target.startswith(mine) or target == "" for target, _ in own_imports(path)), "public names only"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_import_of_our_own_hides_in_a_function(path: Path) -> None:
    hidden = {
        node
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom | ast.Import)
    }
    for node in hidden:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        assert not any(name.split(".")[0] in ("agent_ledger", "datasette_agent_ledger") for name in names), path


def test_imports_have_no_cycles() -> None:
    graph = {name_of(path): {target for target, _ in own_imports(path)} - {name_of(path)} for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_its_test(path: Path) -> None:
    name = name_of(path)
    if name in HAS_NO_TEST_OF_ITS_OWN or path.name == "__init__.py":
        return
    *package, module = name.split(".")
    found = {test.stem.removeprefix("test_") for test in TESTS.rglob("test_*.py")}
    if not package:
        assert module in found, f"write tests/test_{module}.py"
        return
    # A package is tested by its folder, or by one file of its name.
    folder = "datasette" if package[0] == "datasette_agent_ledger" else package[0]
    assert (TESTS / folder).is_dir() or package[0] in found, f"write tests/{package[0]}/test_{module}.py"


def test_names_of_tests_are_unique() -> None:
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
    assert not list(TESTS.rglob("__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400, path
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_is_banned(path: Path) -> None:
    assert path.stem not in ("utils", "util", "helpers", "helper", "manager", "common", "misc", "base"), path
    module = tree(path)
    assert ast.get_docstring(module) or not module.body, f"{path} says what it is for"
    for node in ast.walk(module):
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{path}:{node.lineno} bare except"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "eval", "exec"), f"{path}:{node.lineno} {node.func.id}"
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", token.string), f"{path}:{token.start[0]}"


def test_public_names_exist_and_are_documented() -> None:
    assert list(agent_ledger.__all__) == sorted(agent_ledger.__all__)
    for name in agent_ledger.__all__:
        thing = getattr(agent_ledger, name)
        if inspect.isclass(thing):
            assert thing.__doc__, name
            assert not thing.__doc__.startswith(f"{name}("), f"{name} has only the docstring of a dataclass"
    public = {name for name in vars(agent_ledger) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(agent_ledger, name))}
    assert public - modules - {"annotations"} == set(agent_ledger.__all__)


def test_public_methods_of_the_ledger_are_documented() -> None:
    for name, method in vars(Ledger).items():
        if not name.startswith("_") and callable(method):
            assert method.__doc__, name


@pytest.mark.parametrize("path", [path for path in MODULES if path.is_relative_to(PACKAGE)], ids=name_of)
def test_public_functions_and_classes_are_documented(path: Path) -> None:
    if path.parent.name in ("cli", "demo") or name_of(path) == "__main__":
        return
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith(("_", "register_", "read")):
            documented_ = ast.get_docstring(node) or len(node.body) <= 3
            assert documented_, f"{path}: {node.name}"


def test_every_table_of_the_package_is_known_to_sqlite() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        for sql in schema.scripts("tables").values():
            assert sqlite3.complete_statement(sql + ";")
    finally:
        connection.close()
