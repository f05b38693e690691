"""One request as a small bill."""

from __future__ import annotations

from datasette import Response

from datasette_agent_ledger.page import Page, Question

_MISSING = "No such request is here: check the id. Archived ones are not read by this server, but by agent-ledger show."
_PARTS = ("calls", "tool_calls", "charges", "not_counted")


async def request(page: Page, request_id: str) -> Response:
    """Its LLM calls, its tool calls, what they take of the bills, and the sum."""
    asked = {"request_id": request_id}
    figures = await page.figures(
        Question("request_sum", asked, called="sum"),
        *(Question(f"request_{part}", asked, called=part) for part in _PARTS),
    )
    if not any(figure.rows or figure.problem for figure in figures.values()):
        return await page.render("problem.html", {"title": request_id, "problem": _MISSING}, status=404)
    return await page.render("request.html", {"title": request_id, "figures": figures, "parts_shown": _PARTS})
