/*
Which calls have no cost, and why?

Give the model a price: agent-ledger prices set, or agent-ledger prices sync. History is priced at once.

Reads: unpriced_calls.
*/
select provider, model, service_tier, region, calls, prompt_tokens, completion_tokens, first_ts, last_ts, reason
from unpriced_calls
order by calls desc, model
