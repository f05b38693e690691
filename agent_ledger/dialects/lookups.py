"""Subqueries that look something up for each row, as sets and arrays: ClickHouse can't run all of them.

What is left of them after this is either asked once, or asks in a way that ClickHouse can turn into a join.
"""

from __future__ import annotations

from sqlglot import exp

_PAIRS = "JSONExtractKeysAndValues"


def without_lookups(query: exp.Query) -> exp.Query:
    """`exists` as `in`, the latest row of each kind as a set of them, JSON objects as arrays; changes it in place."""
    for select in list(query.find_all(exp.Select)):
        _unfold(select)
    for exists in list(query.find_all(exp.Exists)):
        made = _membership(exists)
        if made is not None:
            exists.replace(made)
    for equality in list(query.find_all(exp.EQ)):
        made = _latest(equality)
        if made is not None:
            equality.replace(made)
    return query


def _conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    if condition is None:
        return []
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _source(select: exp.Select) -> str | None:
    """The one table that a SELECT reads."""
    start = select.args.get("from_")
    return start.alias_or_name if start and isinstance(start.this, exp.Table) and not select.args.get("joins") else None


def _divided(select: exp.Select, own: str) -> tuple[list[tuple[exp.Expr, exp.Expr]], list[exp.Expr]] | None:
    """The conditions of a lookup: pairs of an own and an outer value that are equal, and those about own values alone.
    None: there are others."""
    where = select.args.get("where")
    equal, alone = [], []
    for condition in _conjuncts(where.this if where else None):
        tables = {column.table for column in condition.find_all(exp.Column)}
        if tables <= {own}:
            alone.append(condition)
            continue
        if not isinstance(condition, exp.EQ) or condition.find(exp.Subquery, exp.Select):
            return None
        sides = sorted(
            (condition.this, condition.expression),
            key=lambda side: {column.table for column in side.find_all(exp.Column)} != {own},
        )
        if own in {column.table for column in sides[1].find_all(exp.Column)}:
            return None
        if {column.table for column in sides[0].find_all(exp.Column)} != {own}:
            return None
        equal.append((sides[0], sides[1]))
    return equal, alone


def _set(select: exp.Select, values: list[exp.Expr], alone: list[exp.Expr]) -> exp.Select:
    made = exp.select(*(value.copy() for value in values)).from_(select.args["from_"].this.copy())
    for condition in alone:
        made = made.where(condition.copy())
    return made


def _row(values: list[exp.Expr]) -> exp.Expr:
    return values[0].copy() if len(values) == 1 else exp.Tuple(expressions=[value.copy() for value in values])


def _membership(exists: exp.Exists) -> exp.Expr | None:
    """`exists (select 1 from t where t.a = b)` is `b in (select a from t)`, and false where b is NULL."""
    select = exists.this.unnest() if isinstance(exists.this, exp.Subquery) else exists.this
    if not isinstance(select, exp.Select) or (own := _source(select)) is None:
        return None
    divided = _divided(select, own)
    if divided is None or not divided[0]:
        return None
    equal, alone = divided
    known: list[exp.Expr] = [exp.Not(this=exp.Is(this=one.copy(), expression=exp.null())) for one, _ in equal]
    query = _set(select, [one for one, _ in equal], alone + known)
    made = exp.In(this=_row([outer for _, outer in equal]), query=exp.Subquery(this=query))
    asked = [exp.Not(this=exp.Is(this=outer.copy(), expression=exp.null())) for _, outer in equal]
    return exp.paren(exp.and_(*asked, made, copy=False))


def _latest(equality: exp.EQ) -> exp.Expr | None:
    """`x = (select max(y) from t where t.a = b)` is `(b, x) in (select a, max(y) from t group by a)`."""
    if not isinstance(equality.expression, exp.Subquery):
        return None
    select = equality.expression.this
    own = _source(select) if isinstance(select, exp.Select) else None
    if own is None or len(select.expressions) != 1 or not isinstance(select.expressions[0].unalias(), exp.Max):
        return None
    divided = _divided(select, own)
    if divided is None or not divided[0]:
        return None
    equal, alone = divided
    keys = [one for one, _ in equal]
    query = _set(select, [*keys, select.expressions[0].unalias()], alone).group_by(*(key.copy() for key in keys))
    return exp.In(this=_row([*(outer for _, outer in equal), equality.this]), query=exp.Subquery(this=query))


# -- JSON objects -----------------------------------------------------------------------------------------------------


def _is_members(source: exp.Expr) -> bool:
    return (
        isinstance(source, exp.Table)
        and isinstance(source.this, exp.Anonymous)
        and source.this.name.lower() == "json_each"
    )


def _pairs(source: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=_PAIRS, expressions=[_object(source), exp.Literal.string("Float64")])


def _object(source: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="ifNull", expressions=[source.this.expressions[0].copy(), exp.Literal.string("{}")])


def _unfold(select: exp.Select) -> None:
    """A SELECT over the members of JSON objects."""
    start, joins = select.args.get("from_"), select.args.get("joins") or []
    members = [join.this for join in joins if _is_members(join.this)]
    if start is None or not members:
        return
    if _is_members(start.this):
        _multiply(select, start.this, members[0])
        return
    (source,) = members
    joins[:] = [join for join in joins if join.this is not source]
    pair = exp.alias_(exp.Anonymous(this="arrayJoin", expressions=[_pairs(source)]), "pair")
    inner = exp.select("*", pair).from_(start.this.copy())
    alias = start.alias_or_name
    for column in list(select.find_all(exp.Column)):
        if column.table == source.alias:
            column.replace(_element(exp.column("pair", alias), 1 if column.name == "key" else 2))
    start.set("this", exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias))))


def _multiply(select: exp.Select, one: exp.Expr, other: exp.Expr) -> None:
    """The sum of products of the values that two objects have under the same key; what is not there is 0."""
    (total,) = list(select.find_all(exp.Sum))
    pair = exp.column("pair")
    price = exp.Anonymous(this="JSONExtractFloat", expressions=[_object(other), _element(pair, 1)])
    product = exp.Lambda(
        this=exp.Mul(this=_element(pair, 2), expression=price), expressions=[exp.to_identifier("pair")]
    )
    total.replace(exp.Anonymous(this="arraySum", expressions=[product, _pairs(one)]))
    assert select.parent is not None
    select.parent.replace(exp.paren(select.expressions[0].unalias().copy()))


def _element(pair: exp.Expr, number: int) -> exp.Expr:
    return exp.Anonymous(this="tupleElement", expressions=[pair.copy(), exp.Literal.number(number)])
