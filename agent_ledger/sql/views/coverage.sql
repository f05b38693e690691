/*
How much of the ledger do the figures cover? Read it beside every total.

Grain: one row.
Reads: usage_cost, forgotten_moment, tool_usage_cost, billed_charge, allocated_charge, unallocated_charge.

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
tool_calls               integer  Tool calls that count
uncosted_tool_calls      integer  Those whose cost nobody says
charges                  integer  Lines of cloud bills that count, those without exchange rate included
charged_usd              real     US dollars of these lines, credits taken off. NULL: no line has an amount
allocated_charge_share   real     Share of these lines that tool calls take, credits aside, 0 to 1. NULL: no charge
unallocated_usd          real     US dollars of these lines that no tool call takes. NULL: there are none
unconverted_charges      integer  Lines in a currency without exchange rate: they are in no sum
billed_through           text     The end of the last period whose use a cloud bill covers. NULL: no bill was imported
*/
with summed as (
  -- The rows by customer only for those that are nobody's.
  select
    sum(iif(grain = 'customer_month', 0, calls)) as calls,
    sum(iif(grain = 'customer_month' or cost_picos is null, 0, calls)) as priced_calls,
    sum(iif(grain = 'customer_month', 0, coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0))) as tokens,
    sum(iif(
      grain = 'customer_month' or cost_picos is null, 0, coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)
    )) as priced_tokens,
    sum(iif(grain <> 'customer_month' and cost_source = 'estimated', calls, 0)) as estimated_calls,
    sum(iif(grain = 'customer_month', null, cost_4096ths + cost_picos / 244140625)) as whole,
    sum(iif(grain = 'customer_month', null, cost_picos % 244140625)) as rest,
    sum(iif(grain = 'customer_month' or team is null, 0, cost_4096ths + cost_picos / 244140625)) as team_whole,
    sum(iif(grain = 'customer_month' or team is null, 0, cost_picos % 244140625)) as team_rest,
    sum(iif(grain = 'customer_month' or feature is null, 0, cost_4096ths + cost_picos / 244140625)) as feature_whole,
    sum(iif(grain = 'customer_month' or feature is null, 0, cost_picos % 244140625)) as feature_rest,
    coalesce(sum(iif(grain = 'month' or customer_id is not null, 0, cost_4096ths + cost_picos / 244140625)), 0) as nobody_whole,
    coalesce(sum(iif(grain = 'month' or customer_id is not null, 0, cost_picos % 244140625)), 0) as nobody_rest,
    min(first_ts) as first_ts,
    max(last_ts) as last_ts
  from usage_cost
  where grain in ('month', 'customer_month', 'call') and (grain <> 'customer_month' or customer_id is null)
),
forgotten as (
  select min(first_ts) as first_ts, max(last_ts) as last_ts from forgotten_moment
),
total as (
  select
    coalesce(calls, 0) as calls,
    coalesce(priced_calls, 0) as priced_calls,
    tokens,
    priced_tokens,
    coalesce(estimated_calls, 0) as estimated_calls,
    whole,
    rest,
    -- The same amount is always the same two numbers, so that a share of all is 1.
    whole + rest / 244140625 as all_whole,
    rest % 244140625 as all_rest,
    team_whole + team_rest / 244140625 as team_whole,
    team_rest % 244140625 as team_rest,
    feature_whole + feature_rest / 244140625 as feature_whole,
    feature_rest % 244140625 as feature_rest,
    whole - nobody_whole + (rest - nobody_rest) / 244140625 - ((rest - nobody_rest) % 244140625 < 0) as customer_whole,
    (rest - nobody_rest) % 244140625 + iif((rest - nobody_rest) % 244140625 < 0, 244140625, 0) as customer_rest,
    coalesce(min(summed.first_ts, forgotten.first_ts), summed.first_ts, forgotten.first_ts) as first_ts,
    coalesce(max(summed.last_ts, forgotten.last_ts), summed.last_ts, forgotten.last_ts) as last_ts
  from summed, forgotten
),
called as (
  select coalesce(sum(calls), 0) as tool_calls, coalesce(sum(uncosted_calls), 0) as uncosted_tool_calls
  from tool_usage_cost
  where grain in ('month', 'call')
),
charged as (
  select
    count(*) as charges,
    count(*) - count(cost_picos) as unconverted_charges,
    sum(cost_picos / 244140625) as charged_whole,
    sum(cost_picos % 244140625) as charged_rest,
    sum(iif(cost_picos > 0, cost_picos / 244140625, 0)) as debit_whole,
    sum(iif(cost_picos > 0, cost_picos % 244140625, 0)) as debit_rest,
    -- A line of a whole month, for storage say, comes long before the month is over.
    coalesce(
      max(iif(category = 'usage' and julianday(period_end) - julianday(period_start) < 1.5, period_end, null)),
      max(iif(category = 'usage', period_end, null))
    ) as billed_through
  from billed_charge
  where kind = 'cloud'
),
taken as (
  select
    coalesce(sum(cost_picos / 244140625), 0) as taken_whole,
    coalesce(sum(cost_picos % 244140625), 0) as taken_rest
  from allocated_charge
  where cost_picos > 0  -- parts of credits are below zero
),
unclaimed as (
  select
    sum(cost_picos / 244140625) as unallocated_whole,
    sum(cost_picos % 244140625) as unallocated_rest
  from unallocated_charge
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
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as cost_usd,
  cast((team_whole / 4096.0 + team_rest / 1e12) / nullif(all_whole / 4096.0 + all_rest / 1e12, 0) as real) as team_cost_share,
  cast((feature_whole / 4096.0 + feature_rest / 1e12) / nullif(all_whole / 4096.0 + all_rest / 1e12, 0) as real) as feature_cost_share,
  cast((customer_whole / 4096.0 + customer_rest / 1e12) / nullif(all_whole / 4096.0 + all_rest / 1e12, 0) as real) as customer_cost_share,
  cast(first_ts as text) as first_ts,
  cast(last_ts as text) as last_ts,
  cast(tool_calls as integer) as tool_calls,
  cast(uncosted_tool_calls as integer) as uncosted_tool_calls,
  cast(charges as integer) as charges,
  cast(iif(
    abs(charged_whole + charged_rest / 244140625) < 36893488,
    (charged_whole * 244140625 + charged_rest) / 1e12,
    (charged_whole + charged_rest / 244140625) / 4096.0 + charged_rest % 244140625 / 1e12
  ) as real) as charged_usd,
  cast((taken_whole / 4096.0 + taken_rest / 1e12) / nullif(debit_whole / 4096.0 + debit_rest / 1e12, 0) as real) as allocated_charge_share,
  cast(iif(
    abs(unallocated_whole + unallocated_rest / 244140625) < 36893488,
    (unallocated_whole * 244140625 + unallocated_rest) / 1e12,
    (unallocated_whole + unallocated_rest / 244140625) / 4096.0 + unallocated_rest % 244140625 / 1e12
  ) as real) as unallocated_usd,
  cast(unconverted_charges as integer) as unconverted_charges,
  cast(billed_through as text) as billed_through
from total, called, charged, taken, unclaimed
