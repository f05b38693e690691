"""A page of a ledger: its figures, each one a statement, asked only where the viewer may see what it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from datasette import Forbidden, Response
from datasette.database import QueryInterrupted

from datasette_agent_ledger import charts, compat, links
from datasette_agent_ledger.discovery import Attached
from datasette_agent_ledger.figures import Behind, Figure, Record, answered
from datasette_agent_ledger.statements import Statement, statement

_SLOW = (
    "took longer than this server allows (setting sql_time_limit_ms): choose a shorter time, or run "
    "`agent-ledger compact` on the ledger"
)


@dataclass(frozen=True, slots=True)
class Question:
    """A statement to be run, and where the cells of its rows lead to."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    axis: str | None = None
    other: str | None = None  # a second axis
    behind: Behind | None = None
    called: str | None = None  # what the page calls it; None: as the statement

    @property
    def statement(self) -> Statement:
        found = statement(self.name)
        return found if self.axis is None else found.by(self.axis, self.other)


class Page:
    """What one viewer sees of one ledger. `of_team`: a viewer who sees one team and nothing else."""

    def __init__(self, datasette: Any, request: Any, ledger: Attached, *, of_team: str | None = None) -> None:
        self.datasette = datasette
        self.request = request
        self.ledger = ledger
        self.database = ledger.database
        self.of_team = of_team
        self.actor = request.actor if request is not None else None
        self._asked: dict[str, asyncio.Task[bool]] = {}

    async def may_view(self, name: str) -> bool:
        """May the viewer see this table or view? Asked once per page."""
        if name not in self._asked:
            self._asked[name] = asyncio.ensure_future(compat.can_view(self.datasette, self.actor, self.database, name))
        return await self._asked[name]

    async def figures(self, *questions: Question) -> dict[str, Figure]:
        """The answers by name. Raises Forbidden where the viewer may see none of them."""
        asked = await asyncio.gather(*(self._answer(question) for question in questions))
        if asked and all(figure.hidden for figure in asked):
            raise Forbidden(f"you may not see what {self.database} says here")
        linked = await self._may_link()
        return {
            question.called or question.name: self._linked(figure) if linked else figure
            for question, figure in zip(questions, asked, strict=True)
        }

    async def _answer(self, question: Question) -> Figure:
        asked = question.statement
        parameters = {name: question.parameters[name] for name in asked.parameters}
        empty = Figure(asked, parameters, [], [], [])
        if self.of_team is None and not await self._may_see(asked):
            return replace(empty, problem="You may not see this: ask who runs this server.", hidden=True)
        if missing := [name for name in asked.reads if not self.ledger.has(name)]:
            return replace(empty, problem=f"This ledger has no {', '.join(missing)}: upgrade it with agent-ledger.")
        try:
            found = await self.ledger.db.execute(asked.sql, parameters)
        except QueryInterrupted:
            return replace(empty, problem=f"“{asked.title}” {_SLOW}.")
        behind = self.behind if question.behind is None or self.of_team is not None else question.behind
        return answered(asked, parameters, found.columns, found.rows, behind)

    async def _may_see(self, asked: Statement) -> bool:
        return all(await asyncio.gather(*(self.may_view(name) for name in dict.fromkeys((*asked.reads, *asked.shows)))))

    async def _may_link(self) -> bool:
        return self.of_team is None and await compat.can_sql(self.datasette, self.actor, self.database)

    def _linked(self, figure: Figure) -> Figure:
        if figure.hidden:
            return figure
        sql, csv, json = (
            compat.sql_href(self.datasette, self.database, figure.statement.sql, figure.parameters, extension)
            for extension in ("", ".csv", ".json")
        )
        return replace(figure, sql_href=sql, csv_href=csv, json_href=json)

    def behind(self, record: Record, column: str) -> str | None:
        """Where a cell leads to unless its page knows better: keys to their own page."""
        axis = links.LINKED.get(column)
        value = record[column]
        if axis is None or not isinstance(value, str) or value in links.REST or self.of_team is not None:
            return None
        return links.of(self.datasette, self.database, axis, value)

    async def calls_href(self, axis: str, key: str | None) -> Callable[..., str | None]:
        """Links to the calls of a key (None: of all) within bounds of a period, for those who may see calls."""
        if self.of_team is not None or not await self.may_view("call_cost"):
            return lambda *_, **__: None

        def href(bounds: dict[str, str], **filters: str) -> str:
            return links.calls(self.datasette, self.database, axis, key, bounds, **filters)

        return href

    async def render(self, template: str, context: dict[str, Any], *, status: int = 200) -> Response:
        """The page as HTML."""
        found = {
            "database": self.database,
            "home": links.home(self.datasette, self.database),
            "pages": self._navigation(),
            "bar": charts.bar,
            "meter": charts.meter,
            "stylesheet": compat.static_href(self.datasette, "agent-ledger.css"),
            **context,
        }
        html = await self.datasette.render_template(f"agent_ledger/{template}", found, request=self.request)
        return Response.html(html, status=status)

    def _navigation(self) -> list[dict[str, Any]]:
        if self.of_team is not None:
            return []
        home = links.home(self.datasette, self.database)
        found = [("Overview", home), *((name.capitalize(), f"{home}/{name}") for name in links.PAGES)]
        here = self.request.path.rstrip("/")
        return [{"label": label, "href": href, "current": href == here} for label, href in found]
