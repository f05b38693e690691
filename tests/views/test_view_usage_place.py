from __future__ import annotations

from support import add_prices, call, price, query

from agent_ledger import Ledger

COLUMNS = (
    "min_tokens, time_from, prompt, completion, searches, units, reported, usage_place.anomaly, off_tier,"
    " rate_cut, agent_cut, loose"
)


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    add_prices(
        ledger,
        price(input=1, output=1, effective_from="2026-01-10T00:00:00.000Z"),
        price(input=2, output=1, effective_from="2026-01-10T00:00:00.000Z", above_tokens=200),
        price(input=3, output=1, effective_from="2026-01-10T00:00:00.000Z", time_from="08:00", time_to="16:00"),
    )
    ledger.assign("a", team="x")
    ledger.assign("a", team="y", valid_from="2026-01-15")
    ledger.record_call(**call(request_id="before", ts="2026-01-09T12:00:00.000Z", prompt_tokens=None))
    ledger.record_call(**call(request_id="by day", completion_tokens=0, web_search_requests=2))
    ledger.record_call(**call(request_id="long", ts="2026-01-20T20:00:00.000Z", prompt_tokens=201, anomaly="odd"))
    ledger.record_call(**call(request_id="off", ts="2026-01-20T20:00:00.000Z", tier_tokens=9, reported_cost_usd=0.5))
    ledger.record_call(**call(request_id="units", ts="2026-02-01T07:59:00.000Z", usage={"images": 2}))
    ledger.record_call(**call(request_id="seconds", ts="2026-02-01T07:59:00.000Z", usage={"seconds": 1.5}))
    price_on, team_on = "2026-01-10T00:00:00.000Z", "2026-01-15T00:00:00.000Z"
    found = query(ledger, f"select ledger.request_id, {COLUMNS} from usage_place join ledger using (id)")
    assert {request_id: place for request_id, *place in found} == {
        "before": [0, "08:00", -1, 1, 0, 0, 0, 0, 0, "", "", 0],
        "by day": [0, "08:00", 1, 0, 1, 0, 0, 0, 0, price_on, team_on, 0],
        "long": [201, "16:00", 1, 1, 0, 0, 0, 1, 0, price_on, team_on, 0],
        "off": [0, "16:00", 1, 1, 0, 0, 1, 0, 1, price_on, team_on, 0],
        "units": [0, "00:00", 1, 1, 0, 1, 0, 0, 0, "", "", 0],
        "seconds": [0, "00:00", 1, 1, 0, 1, 0, 0, 0, "", "", 1],
    }
