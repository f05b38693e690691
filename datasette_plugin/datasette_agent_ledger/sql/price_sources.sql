/*
Where do price sources disagree now?

The first source counts. Set a price of your own with agent-ledger prices set where both are wrong.

Reads: price_disagreements.
*/
select
  model, provider, service_tier, region, above_tokens, source, input_usd_mtok, output_usd_mtok, other_source, other_input,
  other_output, differs_in
from price_disagreements
order by model, provider
