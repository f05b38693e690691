"""What SQLite says in its own way and any SQL can say: truth is no number, VALUES has no names.

SQLite has no booleans: a comparison is 0 or 1, and any number is a condition. Others keep the two apart. All of
this leaves valid SQLite, with the same result.
"""

from __future__ import annotations

from sqlglot import exp

_TRUTH = (exp.Predicate, exp.And, exp.Or, exp.Not, exp.Boolean)


def with_truth(query: exp.Query) -> exp.Query:
    """The same query, in which no condition is used as a number and no number as a condition; changes it in place."""
    for values in list(query.find_all(exp.Values)):
        _list(values)
    for join in query.find_all(exp.Join):
        if join.kind == "CROSS" and join.args.get("on") is not None:  # to SQLite, CROSS says in which order to join
            join.set("kind", None)
    for node in reversed(list(query.walk())):  # what is inside first
        if is_truth(node) and not _is_condition(node):
            node.replace(exp.cast(node.copy(), "bigint"))
    for node in reversed(list(query.walk())):
        if isinstance(node, exp.Expr) and _is_condition(node) and not is_truth(node):
            node.replace(exp.NEQ(this=node.copy(), expression=exp.Literal.number(0)))
    return query


def is_truth(node: exp.Expr) -> bool:
    """Is it a condition: true, false or unknown, and not a number?"""
    if isinstance(node, exp.Paren):
        return is_truth(node.this)
    return isinstance(node, _TRUTH)


def _is_condition(node: exp.Expr) -> bool:
    """Does the place where it stands ask whether it is true?"""
    parent = node.parent
    if isinstance(parent, exp.Paren):
        return _is_condition(parent)
    if isinstance(parent, exp.Where | exp.Having | exp.And | exp.Or | exp.Not):
        return True
    if isinstance(parent, exp.Join):
        return parent.args.get("on") is node
    if isinstance(parent, exp.If):
        # IIF, and WHEN … THEN of a CASE without an operand
        of_operand = isinstance(parent.parent, exp.Case) and parent.parent.this is not None
        return parent.this is node and not of_operand
    return False


def _list(values: exp.Values) -> None:
    """`select column1 as … from (values …)` as a union of rows whose columns are named."""
    rows = [
        exp.select(
            *(exp.alias_(cell.copy(), f"column{number}") for number, cell in enumerate(row.expressions, 1)),
        )
        for row in values.expressions
    ]
    union: exp.Query = rows[0]
    for row in rows[1:]:
        union = exp.union(union, row, distinct=False, copy=False)
    values.replace(exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier("listed"))))
