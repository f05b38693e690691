/*
How much of the ledger do the figures cover? Read it beside every total.

Grain: one row.
Reads: call_cost, charge.

calls                    integer  Inferences that count
priced_calls             integer  Those whose cost is known
priced_call_share        real     0 to 1. NULL: no calls
tokens                   integer  Input and output tokens of all calls
priced_tokens            integer  Those of priced calls
priced_token_share       real     0 to 1. NULL: no tokens
estimated_calls          integer  Priced calls whose counts do not add up or whose tier is not certain
cost_usd                 real     US dollars, without the unpriced calls. NULL: no call is priced
team_cost_share          real     Share of cost_usd that has a team, 0 to 1. NULL: no cost
feature_cost_share       real     Share of cost_usd that has a feature
customer_cost_share      real     Share of cost_usd that has a customer
first_ts                 text     The first call, ISO 8601 UTC. NULL: no calls
last_ts                  text     The last call
billed_through           text     The end of the last period that a cloud bill covers. NULL: no bill was imported
*/
with total as (
  select
    count(*) as calls,
    count(cost_picos) as priced_calls,
    sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)) as tokens,
    sum(iif(cost_picos is null, 0, coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0))) as priced_tokens,
    coalesce(sum(cost_source = 'estimated'), 0) as estimated_calls,
    sum(cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest,
    sum(iif(team is null, 0, cost_picos / 244140625)) as team_whole,
    sum(iif(team is null, 0, cost_picos % 244140625)) as team_rest,
    sum(iif(feature is null, 0, cost_picos / 244140625)) as feature_whole,
    sum(iif(feature is null, 0, cost_picos % 244140625)) as feature_rest,
    sum(iif(customer_id is null, 0, cost_picos / 244140625)) as customer_whole,
    sum(iif(customer_id is null, 0, cost_picos % 244140625)) as customer_rest,
    min(ts) as first_ts,
    max(ts) as last_ts
  from call_cost
)
select
  cast(calls as integer) as calls,
  cast(priced_calls as integer) as priced_calls,
  cast(priced_calls * 1.0 / nullif(calls, 0) as real) as priced_call_share,
  cast(coalesce(tokens, 0) as integer) as tokens,
  cast(coalesce(priced_tokens, 0) as integer) as priced_tokens,
  cast(priced_tokens * 1.0 / nullif(tokens, 0) as real) as priced_token_share,
  cast(estimated_calls as integer) as estimated_calls,
  -- The nearest double, see daily_cost.
  cast(iif(
    whole + rest / 244140625 < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as cost_usd,
  cast((team_whole / 4096.0 + team_rest / 1e12) / nullif(whole / 4096.0 + rest / 1e12, 0) as real) as team_cost_share,
  cast((feature_whole / 4096.0 + feature_rest / 1e12) / nullif(whole / 4096.0 + rest / 1e12, 0) as real) as feature_cost_share,
  cast((customer_whole / 4096.0 + customer_rest / 1e12) / nullif(whole / 4096.0 + rest / 1e12, 0) as real) as customer_cost_share,
  cast(first_ts as text) as first_ts,
  cast(last_ts as text) as last_ts,
  cast((select max(period_end) from charge) as text) as billed_through
from total
