/*
Which of the newest calls have token counts that do not add up?

Among the newest 100,000; their cost is estimated. Ask who reports them: agent-ledger check lists all.

Reads: call_cost, compacted.
*/
select ts, request_id, agent_id, model, anomaly, cost_usd
from call_cost
where id > max((select ledger_row from compacted), 100000) - 100000 and anomaly is not null
order by id desc
limit 100
