"""Who may see what: Datasette's own permissions, and beside them viewers who see their team and nothing else.

Such a viewer is an actor who has a team (or a list of them) under what the plugin's setting `team_key` names. It is for
those who may not see the ledger's views: deny them to everybody else.

    plugins: {"agent-ledger": {"team_key": "team"}}
    databases: {"ledger": {"allow": {"id": "finance"}}}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datasette_agent_ledger import compat

SETTINGS = "agent-ledger"

_SEAM = "usage_cost"  # what almost every figure reads


@dataclass(frozen=True, slots=True)
class Seen:
    """What a viewer sees of a ledger: the pages, each figure of which asks for itself; or the pages of these teams."""

    everything: bool
    teams: tuple[str, ...]


async def seen(datasette: Any, actor: Any, database: str) -> Seen:
    """What the actor sees of the ledger."""
    teams = _teams(datasette, actor, database)
    if teams and not await compat.can_view(datasette, actor, database, _SEAM):
        return Seen(False, teams)
    return Seen(await compat.can_view(datasette, actor, database), ())


def _teams(datasette: Any, actor: Any, database: str) -> tuple[str, ...]:
    settings = datasette.plugin_config(SETTINGS, database=database) or datasette.plugin_config(SETTINGS) or {}
    named = settings.get("team_key")
    if not isinstance(named, str) or not isinstance(actor, dict):
        return ()
    found = actor.get(named)
    return tuple(team for team in (found if isinstance(found, list) else [found]) if isinstance(team, str) and team)


async def any_figure(datasette: Any, actor: Any, database: str) -> bool:
    """May the actor see the figures that almost every page is made of?"""
    return await compat.can_view(datasette, actor, database, _SEAM)
