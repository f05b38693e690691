"""How a query for SQLite is said on another engine, with the same result to the last digit.

Types matter here: SQLite divides integers towards zero, adds 64 bits to 64 bits, joins numbers to text, and rounds
halves away from zero. Each rule asks for the type that was found before anything was changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from sqlglot import exp

from agent_ledger.dialects.engines import Engine, filled
from agent_ledger.dialects.lookups import without_lookups
from agent_ledger.dialects.truth import is_truth

Rule = Callable[[exp.Expr, Engine], exp.Expr | None]

_OF_TEXT = exp.DataType.TEXT_TYPES
_OF_INTEGERS = exp.DataType.INTEGER_TYPES
_GLOB = re.compile(r"\[[^\]]*\]|.")


def said_for(query: exp.Query, engine: Engine) -> exp.Query:
    """`query`, with names and types (see typed.py), as the engine says it; changes it in place."""
    _align_unions(query)
    if engine.name == "clickhouse":
        without_lookups(query)
    for node in reversed(list(query.walk(bfs=True))):
        for kind, rule in _RULES:
            if isinstance(node, kind):
                made = rule(node, engine)
                if made is not None:
                    made.type = node.type
                    node.replace(made)
                break
    return query


def is_integer(node: exp.Expr | None) -> bool:
    return node is not None and node.type is not None and node.type.this in _OF_INTEGERS


def is_text(node: exp.Expr | None) -> bool:
    return node is not None and node.type is not None and node.type.this in _OF_TEXT


def _cast(node: exp.Expr, to: str) -> exp.Expr:
    made = exp.cast(node.copy(), to)
    made.type = exp.DataType.build(to)
    return made


def _as_text(node: exp.Expr) -> exp.Expr:
    return node.copy() if is_text(node) else _cast(node, "text")


# -- numbers ----------------------------------------------------------------------------------------------------------


def _division(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    left, right = node.this, node.expression
    divisor = (
        right.copy()
        if isinstance(right, exp.Literal)
        else exp.Nullif(this=right.copy(), expression=exp.Literal.number(0))
    )
    if is_integer(left) and is_integer(right):
        made = filled(engine, engine.integer_division, x=left, y=divisor)
        return exp.paren(made) if isinstance(made, exp.Binary) else made
    return exp.Div(this=left.copy(), expression=divisor, typed=False, safe=False)


def _total(node: exp.Expr, _: Engine) -> exp.Expr | None:
    """Sums of 64 bits are 64 bits: elsewhere they are wider, decimals, or unsigned."""
    counted = isinstance(node, exp.Count | exp.RowNumber)
    if isinstance(node.parent, exp.Window) and node.parent.this is node:
        return None
    return _cast(node, "bigint") if counted or is_integer(node.this) else None


def _window(node: exp.Expr, _: Engine) -> exp.Expr | None:
    inner = node.this
    if isinstance(inner, exp.Sum | exp.Count | exp.RowNumber):
        return _cast(node, "bigint") if not isinstance(inner, exp.Sum) or is_integer(inner.this) else None
    return None


def _unsigned(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    if type(node) in engine.unsigned and (is_integer(node.this) or not isinstance(node, exp.Abs)):
        return _cast(node, "bigint")
    return None


def _rounded(node: exp.Expr, _: Engine) -> exp.Expr | None:
    """As SQLite does it: half is added or taken away, and the rest cut off."""
    number = _cast(node.this, "double")
    half = exp.Mul(this=exp.Sign(this=number.copy()), expression=_cast(exp.Literal.number("0.5"), "double"))
    return exp.Anonymous(this="trunc", expressions=[exp.Add(this=number, expression=half)])


def _real(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    """1e12 and 4096.0 are doubles, not decimals."""
    if node.is_string or node.is_int or engine.name == "clickhouse":
        return None
    return None if isinstance(node.parent, exp.Cast) else _cast(node, "double")


def _sum_with_text(node: exp.Expr, _: Engine) -> exp.Expr | None:
    """SQLite takes digits for a number where it calculates."""
    if not (is_text(node.this) or is_text(node.expression)):
        return None
    made = node.copy()
    for side in ("this", "expression"):
        if is_text(node.args[side]):
            made.set(side, _cast(node.args[side], "bigint"))
    return made


def _number(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    """PostgreSQL makes a number of 32 bits from a truth, and no other. ClickHouse works out both sides of a condition,
    and can't cast what is no number there though nobody asks for it."""
    if engine.name == "clickhouse" and is_integer(node) and not is_integer(node.this) and not is_truth(node.this):
        if isinstance(node.this, exp.Null) or is_text(node.this):
            return None
        return exp.Anonymous(this="accurateCastOrNull", expressions=[node.this.copy(), exp.Literal.string("Int64")])
    if engine.name != "postgres" or not is_truth(node.this):
        return None
    small = exp.Cast(this=node.this.copy(), to=exp.DataType.build("int"))
    return exp.Cast(this=small, to=exp.DataType.build("bigint"))


# -- text -------------------------------------------------------------------------------------------------------------


def _joined(node: exp.Expr, _: Engine) -> exp.Expr | None:
    if is_text(node.this) and is_text(node.expression):
        return None
    return exp.DPipe(this=_as_text(node.this), expression=_as_text(node.expression), safe=True)


def _first_known(node: exp.Expr, _: Engine) -> exp.Expr | None:
    arguments = [node.this, *node.expressions]
    if len({is_text(argument) for argument in arguments if not isinstance(argument, exp.Null)}) < 2:
        return None
    first, *rest = [argument.copy() if isinstance(argument, exp.Null) else _as_text(argument) for argument in arguments]
    return exp.Coalesce(this=first, expressions=rest)


def _globbed(node: exp.Expr, _: Engine) -> exp.Expr | None:
    pattern = "".join(
        {"*": ".*", "?": "."}.get(part, part if part.startswith("[") else re.escape(part))
        for part in _GLOB.findall(node.expression.name)
    )
    return exp.RegexpLike(this=node.this.copy(), expression=exp.Literal.string(f"^{pattern}$"))


def _cut(node: exp.Expr, _: Engine) -> exp.Expr | None:
    """substr(x, -8): the last eight."""
    start = node.args.get("start")
    if isinstance(start, exp.Neg) and node.args.get("length") is None:
        return exp.Right(this=node.this.copy(), expression=start.this.copy())
    return None


def _quoted(node: exp.Expr, engine: Engine) -> exp.Expr:
    """A value as JSON."""
    if is_text(node):
        made = filled(engine, engine.quoted, x=node)
    elif node.type is not None and node.type.this in exp.DataType.REAL_TYPES:
        made = filled(engine, engine.pointed, x=node)
    else:
        made = _cast(node, "text")
    return exp.Coalesce(this=made, expressions=[exp.Literal.string("null")])


def _concatenated(parts: list[exp.Expr]) -> exp.Expr:
    whole = parts[0]
    for part in parts[1:]:
        whole = exp.DPipe(this=whole, expression=part, safe=True)
    return exp.paren(whole)


def _object(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    parts: list[exp.Expr] = []
    for pair in node.expressions:
        parts.append(exp.Literal.string(f"{',' if parts else '{'}{json.dumps(pair.this.name)}:"))
        value = pair.expression
        nested = value.args.get("nested_json") or isinstance(value, exp.Paren)
        parts.append(value.copy() if nested else _quoted(value, engine))
    return _concatenated([*parts, exp.Literal.string("}")])


def _array(node: exp.Expr, engine: Engine) -> exp.Expr:
    parts: list[exp.Expr] = []
    for value in node.expressions:
        parts.append(exp.Literal.string("," if parts else "["))
        parts.append(value.copy() if isinstance(value, exp.Paren) else _quoted(value, engine))
    return _concatenated([*parts, exp.Literal.string("]")])


def _printed(node: exp.Expr, _: Engine) -> exp.Expr:
    form, *values = node.expressions
    parts: list[exp.Expr] = []
    for piece in re.split(r"(%0?\d*[ds])", form.name):
        if not piece.startswith("%"):
            parts += [exp.Literal.string(piece)] if piece else []
            continue
        value = _as_text(values.pop(0))
        if width := piece[2:-1]:
            value = exp.Anonymous(this="lpad", expressions=[value, exp.Literal.number(width), exp.Literal.string("0")])
        parts.append(value)
    return _concatenated(parts)


# -- time -------------------------------------------------------------------------------------------------------------


def _moment(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    of, form = node.this.this, node.args["format"].name
    if form == "%s":
        return filled(engine, engine.seconds, x=of)
    if of.name == "now":
        return filled(engine, engine.now)
    raise NotImplementedError(node.sql("sqlite"))


def _function(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    name = node.name.lower()
    if name == "strftime":
        form, of, step = node.expressions
        template = {"+1 month": engine.next_month, "+1 day": engine.next_day}[step.name]
        rest = form.name.removeprefix("%Y-%m-%d").replace("%H:%M:%fZ", "00:00:00.000Z")
        return exp.paren(exp.DPipe(this=filled(engine, template, x=of), expression=exp.Literal.string(rest), safe=True))
    if name == "julianday":
        return filled(engine, engine.days, x=node.expressions[0])
    if name == "json_array":
        return _array(node, engine)
    if name == "printf":
        return _printed(node, engine)
    if name == "total":
        return exp.Coalesce(this=exp.Sum(this=node.expressions[0].copy()), expressions=[exp.Literal.number("0.0")])
    return None


# -- queries ----------------------------------------------------------------------------------------------------------


def _members(node: exp.Expr, engine: Engine) -> exp.Expr | None:
    """json_each: a table of keys and values."""
    if not isinstance(node.this, exp.Anonymous) or node.this.name.lower() != "json_each":
        return None
    query = filled(engine, engine.members, x=node.this.expressions[0])
    table = exp.Subquery(this=query, alias=node.args["alias"].copy())
    if engine.name != "postgres":
        return table
    return exp.Lateral(this=exp.Subquery(this=query), alias=node.args["alias"].copy())


def _align_unions(query: exp.Query) -> None:
    """Columns have the names of the first part of a union in all of them, and a bare NULL the type it has in others."""
    for union in list(query.find_all(exp.SetOperation)):
        if isinstance(union.parent, exp.SetOperation):
            continue
        parts = list(_parts(union))
        for column in zip(*(part.expressions for part in parts), strict=True):
            kinds = [one.type for one in column if _is_known(one)]
            for one in column:
                if isinstance(one, exp.Alias) and isinstance(column[0], exp.Alias):
                    one.set("alias", column[0].args["alias"].copy())
                null = one.unalias()
                if isinstance(null, exp.Null) and kinds:
                    made = exp.cast(exp.null(), kinds[0].copy())
                    made.type = kinds[0]
                    null.replace(made)


def _is_known(node: exp.Expr) -> bool:
    """Has it a type? A bare NULL has none, or any."""
    return node.type is not None and node.type.this not in (exp.DataType.Type.UNKNOWN, exp.DataType.Type.NULL)


def _parts(query: exp.Expr) -> list[exp.Select]:
    if isinstance(query, exp.SetOperation):
        return [*_parts(query.this), *_parts(query.expression)]
    return [query.unnest()]  # type: ignore[list-item]


def _type(node: exp.Expr, _: Engine) -> exp.Expr | None:
    """SQLite's integers have 64 bits, wherever they come from."""
    if node.this in _OF_INTEGERS:
        return exp.DataType.build("bigint")
    return exp.DataType.build("text") if node.this in _OF_TEXT else None


_RULES: Final[tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Rule], ...]] = (
    (exp.Div, _division),
    (exp.Cast, _number),
    ((exp.Sum, exp.Count, exp.RowNumber), _total),
    (exp.Window, _window),
    ((exp.Abs, exp.Length, exp.StrPosition), _unsigned),
    (exp.Round, _rounded),
    (exp.Literal, _real),
    ((exp.Add, exp.Sub, exp.Mul), _sum_with_text),
    (exp.DPipe, _joined),
    (exp.Coalesce, _first_known),
    (exp.Glob, _globbed),
    (exp.Substring, _cut),
    (exp.JSONObject, _object),
    (exp.TimeToStr, _moment),
    (exp.Anonymous, _function),
    (exp.Table, _members),
    (exp.DataType, _type),
)
