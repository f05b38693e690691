"""The engines, and how each of them says what they all say differently."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sqlglot import exp, parse_one


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. Expressions are templates in its own SQL; `:x`, `:y` stand for the operands."""

    name: str  # as sqlglot calls it
    text: str  # the type of text
    integer_division: str  # towards zero, as in SQLite
    now: str  # the moment as a timestamp of the ledger
    seconds: str  # since 1970, a whole number, from a timestamp of the ledger
    days: str  # a number, only to be subtracted from another
    next_month: str  # the first day of the month after that of the date :x, as text
    next_day: str
    quoted: str  # text as JSON
    pointed: str  # a double as text, with a point: 19.0
    members: str  # the keys and values of a JSON object whose values are numbers: a table of text and doubles
    settings: str = ""  # what a view ends with
    unsigned: frozenset[type[exp.Expr]] = field(default_factory=frozenset)  # what it gives as unsigned integers


POSTGRES: Final = Engine(
    name="postgres",
    text="text",
    integer_division=":x / :y",
    now="""to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
    seconds="cast(floor(extract(epoch from cast(:x as timestamptz))) as bigint)",
    days="extract(epoch from cast(:x as timestamptz)) / 86400",
    next_month="to_char(cast(:x as date) + interval '1 month', 'YYYY-MM-DD')",
    next_day="to_char(cast(:x as date) + interval '1 day', 'YYYY-MM-DD')",
    quoted="cast(to_json(:x) as text)",
    pointed=r"regexp_replace(cast(:x as text), '^(-?[0-9]+)$', '\1.0')",
    members="select key, cast(value as double precision) as value from json_each_text(cast(:x as json))",
)
DUCKDB: Final = Engine(
    name="duckdb",
    text="varchar",
    integer_division=":x // :y",
    now="strftime(now() at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')",
    seconds="cast(floor(epoch(cast(:x as timestamptz))) as bigint)",
    days="epoch(cast(:x as timestamptz)) / 86400",
    next_month="strftime(cast(:x as date) + interval 1 month, '%Y-%m-%d')",
    next_day="strftime(cast(:x as date) + interval 1 day, '%Y-%m-%d')",
    quoted="cast(to_json(:x) as varchar)",
    pointed="cast(:x as varchar)",
    members="select key, cast(json_extract_string(value, '$') as double) as value from json_each(:x)",
)
CLICKHOUSE: Final = Engine(
    name="clickhouse",
    text="Nullable(String)",
    integer_division="intDiv(:x, :y)",
    now="concat(replaceOne(toString(now64(3, 'UTC')), ' ', 'T'), 'Z')",
    seconds="intDiv(toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(:x, 3, 'UTC')), 1000)",
    days="toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(:x, 3, 'UTC')) / 86400000",
    next_month="toString(addMonths(toDate32(:x), 1))",
    next_day="toString(addDays(toDate32(:x), 1))",
    pointed=r"replaceRegexpOne(cast(:x as Nullable(String)), '^(-?[0-9]+)$', '\\1.0')",
    quoted="replaceAll(toJSONString(:x), '\\\\/', '/')",
    members="",  # see lookups.py
    settings="join_use_nulls = 1",
    unsigned=frozenset({exp.Abs, exp.Length, exp.StrPosition}),
)
ENGINES: Final = {engine.name: engine for engine in (POSTGRES, CLICKHOUSE, DUCKDB)}


@cache
def _parsed(template: str, engine: str) -> exp.Expr:
    return parse_one(template, dialect=engine)


def filled(engine: Engine, template: str, **operands: exp.Expr) -> exp.Expr:
    """A template with its operands in place."""
    tree = _parsed(template, engine.name).copy()
    for placeholder in list(tree.find_all(exp.Placeholder, exp.Parameter)):
        name = placeholder.name
        if name in operands:
            operand = operands[name].copy()
            placeholder.replace(
                operand if isinstance(operand, exp.Column | exp.Literal | exp.Func) else exp.paren(operand)
            )
    return tree
