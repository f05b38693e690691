/*
Which budgets hold now, and which day, week or month of theirs is it?

A window is found by the time, so nothing is ever reset. The limit is in 4096ths of a dollar and pico-dollars, as all
sums are; in another currency, at the exchange rate that holds now.

Grain: one row per name of a budget, those that have ended left out.
Reads: moment, budget, budget_window, exchange_rate.

budget_id      integer  budget.id, the row that holds
budget         text     budget.name
scope          text     agent, team, feature, customer, model or everything
key            text     Whose budget it is
period         text     day, week or month
zone           text     The IANA time zone whose days, weeks or months they are
basis          text     llm: LLM calls; all-in: tool calls and bills too
tier           text     How much it matters. NULL: not said
on_breach      text     notify, throttle or block
throttle_to    text     Model or pattern -> the model to use instead, JSON. NULL: none
hard_percent   integer  Of the limit, which no call may pass. NULL: there is no hard cap
steps          text     Percent of the limit at which somebody is told, a JSON array
limit_amount   real     In the currency. NULL: the limit is in tokens
currency       text     NULL: the limit is in tokens
limit_4096ths  integer  The limit exactly, first part: whole 4096ths of a dollar. NULL: in tokens, or no exchange rate is known
limit_picos    integer  Second part: the remaining pico-dollars (1e-12 USD)
limit_tokens   integer  NULL: the limit is in money
window         text     2026-11-30, 2026-W49 or 2026-11. NULL: the table budget_window does not reach so far
window_start   text     From this moment on, ISO 8601 UTC
window_end     text     Up to, not including, this one
now            text     The moment from which this is told
*/
with held as (
  select
    moment.now,
    budget.*,
    iif(currency = 'USD', limit_micros, cast(round(limit_micros * (
      select usd from exchange_rate
      where exchange_rate.currency = budget.currency and effective_from <= moment.now
      order by effective_from desc, exchange_rate.id desc
      limit 1
    )) as integer)) as usd_micros
  from moment
  join budget on budget.id = (
    select id from budget as latest
    where latest.name = budget.name and latest.valid_from <= moment.now
    order by latest.valid_from desc, latest.id desc
    limit 1
  )
  where budget.event = 'set'
)
select
  held.id as budget_id,
  held.name as budget,
  held.scope,
  held.key,
  held.period,
  held.zone,
  held.basis,
  held.tier,
  held.on_breach,
  held.throttle_to,
  held.hard_percent,
  held.steps,
  cast(held.limit_micros / 1e6 as real) as limit_amount,
  held.currency,
  -- A millionth of a dollar is 64/15625 of a 4096th, and what remains of those are 15625 pico-dollars each.
  cast(held.usd_micros / 15625 * 64 + held.usd_micros % 15625 * 64 / 15625 as integer) as limit_4096ths,
  cast(held.usd_micros % 15625 * 64 % 15625 * 15625 as integer) as limit_picos,
  held.limit_tokens,
  budget_window.name as window,
  budget_window.starts as window_start,
  budget_window.ends as window_end,
  held.now
from held
left join budget_window
  on budget_window.zone = held.zone
  and budget_window.period = held.period
  and budget_window.starts = (
    select max(starts) from budget_window as latest
    where latest.zone = held.zone and latest.period = held.period and latest.starts <= held.now
  )
  and budget_window.ends > held.now
