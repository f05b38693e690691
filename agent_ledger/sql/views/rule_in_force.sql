/*
Which rules say now what is done about what is found? The policy, in the order in which it is asked.

Grain: one row per name of a rule, those that have ended left out.
Reads: moment, policy_rule.

rule_id      integer  policy_rule.id, the row that holds
rule         text     policy_rule.name
priority     integer  The highest is asked first; of the same, the rule that was recorded last
finding      text     step, exceeded, hard cap, forecast, anomaly or incomplete. NULL: any
percent      integer  The step that is reached. NULL: any
budget       text     budget.name, or a pattern with * and ?. NULL: any, as with the following
scope        text     agent, team, feature, customer, model or everything
key          text     Whose budget it is, or a pattern
team         text     The team that the agent belongs to, or whose budget it is
tier         text     budget.tier
time_from    text     From this time of the day in zone, HH:MM
time_to      text     Up to this one, of the next day where it is earlier
weekdays     text     1 is Monday, 7 Sunday, a JSON array
zone         text     An IANA time zone
action       text     nothing, notify, throttle or block
throttle_to  text     Model or pattern -> the model to use instead, JSON. NULL: as the budget says
samples      integer  Calls to wait for until it is judged whether it worked. NULL: 20
at_most      text     What did not work escalates no further. NULL: to block
*/
select
  held.id as rule_id,
  held.name as rule,
  held.priority,
  held.finding,
  held.percent,
  held.budget,
  held.scope,
  held.key,
  held.team,
  held.tier,
  held.time_from,
  held.time_to,
  held.weekdays,
  held.zone,
  held.action,
  held.throttle_to,
  held.samples,
  held.at_most
from moment
join policy_rule as held on held.id = (
  select id from policy_rule as latest
  where latest.name = held.name and latest.valid_from <= moment.now
  order by latest.valid_from desc, latest.id desc
  limit 1
)
where held.event = 'set'
order by held.priority desc, held.id desc
