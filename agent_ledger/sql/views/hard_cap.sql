/*
How much may still be spent or reserved before the hard cap of each budget?

What is left is in 4096ths of a dollar and pico-dollars, as all sums are, and never less than it is by more than two
pico-dollars. A budget with an exception in force has no cap. Spend that is not known is in no sum: see budget_status.

Grain: one row per budget in force that has a hard cap.
Reads: budget_spend, exception_in_force, reservation.

budget        text     budget.name
scope         text     agent, team, feature, customer, model or everything
key           text     Whose budget it is
window        text     2026-11-30, 2026-W49 or 2026-11. NULL: the table budget_window does not reach so far
window_end    text     Up to, not including, this moment, ISO 8601 UTC
hard_percent  integer  Of the limit
reserved      integer  Calls under way that have reserved a part
left_usd      real     US dollars; negative where the cap is passed. NULL: the limit is in tokens, or no exchange rate is known
left_4096ths  integer  The same exactly, first part: whole 4096ths of a dollar, rounded down
left_picos    integer  Second part: the remaining pico-dollars (1e-12 USD), never negative
left_tokens   integer  NULL: the limit is in money
currency      text     NULL: the limit is in tokens
*/
with capped as (
  select
    *,
    limit_4096ths * hard_percent / 100 as whole_of_cap,
    limit_4096ths * hard_percent % 100 * 244140625 / 100 + limit_picos * hard_percent / 100 as rest_of_cap
  from budget_spend
  where hard_percent is not null
    and not exists (select 1 from exception_in_force where exception_in_force.budget = budget_spend.budget)
),
summed as (
  select
    capped.*,
    json_extract(told.value, '$[0]') as reserved,
    json_extract(told.value, '$[3]') as reserved_tokens,
    -- Two 4096ths are lent to the rest, so that it is not negative: SQLite rounds towards zero.
    whole_of_cap - cost_4096ths - json_extract(told.value, '$[1]') - json_extract(told.value, '$[2]') / 244140625 - 2 as whole,
    rest_of_cap - cost_picos - json_extract(told.value, '$[2]') % 244140625 + 2 * 244140625 as rest
  from capped
  cross join json_each(json_array(json((
    select json_array(
      count(*),
      coalesce(sum(picos / 244140625), 0),
      coalesce(sum(picos % 244140625), 0),
      coalesce(sum(tokens), 0)
    )
    from reservation
    where reservation.budget = capped.budget and state = 'open' and expires_at > capped.now
  )))) as told
)
select
  budget,
  scope,
  key,
  window,
  window_end,
  hard_percent,
  cast(reserved as integer) as reserved,
  cast(
    iif(
      abs(whole + rest / 244140625) < 36893488,
      (whole * 244140625 + rest) / 1e12,
      (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
    ) as real
  ) as left_usd,
  cast(whole + rest / 244140625 as integer) as left_4096ths,
  cast(rest % 244140625 as integer) as left_picos,
  cast(hard_percent * limit_tokens / 100 - tokens - reserved_tokens as integer) as left_tokens,
  currency
from summed
