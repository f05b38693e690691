"""The views as they are without rollups: what reads only rollups falls away, what compares with their reach is decided.

Elsewhere the views read the facts themselves. Here that is no second definition of them: it is the same text, in which
every table of rollups is empty and the watermarks are 0, simplified.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.optimizer.simplify import simplify

ROLLUPS = frozenset(
    {
        *("usage_rollup", "usage_key", "usage_unit_rollup", "usage_loose", "rollup_chunk", "rollup_cost"),
        *("tool_rollup", "tool_key", "tool_loose", "tool_orphan", "tool_chunk", "tool_allocated", "tool_rollup_cost"),
        *("rest_rollup", "forgotten_moment"),
    }
)
"""Tables that are empty until somebody compacts, and the views that read nothing else."""

_REACH = frozenset({"compacted", "rollup_state"})  # one row: how far the rollups reach


class NothingLeft(Exception):
    """A query reads rollups only, and there are none."""


def without_rollups(view: exp.Query) -> exp.Query:
    """The same view where nothing is compacted; changes `view` in place. Raises NothingLeft."""
    for subquery in list(view.find_all(exp.Subquery)):
        if _reads(subquery.this) & _REACH:
            _decide(subquery)
    empty = set(ROLLUPS)
    for membership in list(view.find_all(exp.In)):
        query = membership.args.get("query")
        if query is not None and _reads(query.this) & empty:
            membership.replace(exp.false())
    for where in list(view.find_all(exp.Where)):
        if where.find(exp.Boolean):
            where.set("this", simplify(where.this, dialect="sqlite"))
    found = _kept(view, empty)
    if found is None:
        raise NothingLeft
    return found


def _reads(query: exp.Expr) -> set[str]:
    """What a SELECT reads itself, not in a subquery."""
    sources = [query.args.get("from_"), *(query.args.get("joins") or ())]
    return {source.this.name for source in sources if source is not None and isinstance(source.this, exp.Table)}


def _decide(reach: exp.Subquery) -> None:
    """`id > (how far)` holds for every row, `id <= (how far)` for none; anything else is told 0."""
    parent = reach.parent
    if parent is not None and parent.args.get("expression") is reach and isinstance(parent.this, exp.Column):
        if isinstance(parent, exp.GT):
            parent.replace(exp.true())
            return
        if isinstance(parent, exp.LTE):
            parent.replace(exp.false())
            return
    reach.replace(exp.Literal.number(0))


def _kept(query: exp.Expr, empty: set[str]) -> exp.Query | None:
    """What is left of a query; None: it has no rows."""
    if isinstance(query, exp.SetOperation):
        return _kept_of_union(query, empty)
    if isinstance(query, exp.Subquery):
        query = query.unnest()
    assert isinstance(query, exp.Select)
    _keep_ctes(query, empty)
    for inner in list(query.find_all(exp.Subquery)):
        if inner.parent_select is query and isinstance(inner.parent, exp.From | exp.Join):
            left = _kept(inner.this, empty)
            if left is None:
                return None
            inner.set("this", left)
    needed = {query.args["from_"].this.name} if query.args.get("from_") else set()
    needed |= {join.this.name for join in query.args.get("joins") or () if join.side != "LEFT"}
    where = query.args.get("where")
    if not needed & empty and not (where and isinstance(where.this, exp.Boolean) and not where.this.this):
        if where and isinstance(where.this, exp.Boolean):
            query.set("where", None)
        return query
    aggregates = [found for found in query.find_all(exp.AggFunc) if found.parent_select is query]
    if aggregates and query.args.get("group") is None:
        return _of_nothing(query, aggregates)
    return None


def _kept_of_union(union: exp.SetOperation, empty: set[str]) -> exp.Query | None:
    _keep_ctes(union, empty)
    ctes = union.args.get("with_")
    left, right = _kept(union.this, empty), _kept(union.expression, empty)
    if left is not None and right is not None:
        union.set("this", left)
        union.set("expression", right)
        return union
    rest = left if left is not None else right
    if rest is None:
        return None
    if left is None:
        _rename_columns(union.this, rest)
    if ctes is not None:
        inner = rest.args.get("with_")
        assert inner is None
        rest.set("with_", ctes.copy())
    return rest


def _rename_columns(first: exp.Expr, rest: exp.Query) -> None:
    """The columns of a union are named by its first part: where that is gone, the other has to name them."""
    while isinstance(first, exp.SetOperation):
        first = first.this
    while isinstance(rest, exp.SetOperation):
        rest = rest.this
    if rest.is_star:
        return
    for named, other in zip(first.expressions, list(rest.expressions), strict=True):
        if other.alias_or_name != named.alias_or_name:
            other.replace(exp.alias_(other.unalias().copy(), named.alias_or_name))


def _keep_ctes(query: exp.Query, empty: set[str]) -> None:
    ctes = query.args.get("with_")
    if ctes is None:
        return
    for cte in list(ctes.expressions):
        left = _kept(cte.this, empty)
        if left is None:
            empty.add(cte.alias)
            cte.pop()
        else:
            cte.set("this", left)
    if not ctes.expressions:
        query.set("with_", None)


def _of_nothing(query: exp.Select, aggregates: list[exp.AggFunc]) -> exp.Select:
    """An aggregate over no rows: one row of NULLs."""
    for aggregate in aggregates:
        if not isinstance(aggregate, exp.Min | exp.Max):
            raise NotImplementedError(f"{aggregate.sql()} of nothing")
        aggregate.replace(exp.cast(exp.null(), "text"))
    query.set("from_", None)
    query.set("where", None)
    return query
