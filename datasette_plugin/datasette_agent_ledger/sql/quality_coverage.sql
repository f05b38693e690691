/*
How much of the ledger do the figures cover?

Reads: coverage.
*/
select
  calls, priced_call_share, priced_token_share, estimated_calls, team_cost_share, feature_cost_share, customer_cost_share,
  tool_calls, uncosted_tool_calls, charges, allocated_charge_share, unallocated_usd, unconverted_charges, billed_through, last_ts
from coverage
