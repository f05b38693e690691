create table price_revision (
  -- What a price source said, and when it was recorded here. Never changed or removed: a correction is a later row. So
  -- it can be asked what a call costs, and what it seemed to cost at any earlier moment.
  -- Prices are whole pico-dollars (1e-12 USD): dollars per million tokens times 1,000,000. NULL: no separate price.
  id integer primary key,
  recorded_at text not null check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  source text not null check (source <> ''),  -- genai-prices, litellm, contract, …
  priority integer not null,  -- where several sources price a call, the highest wins
  provider text check (provider <> ''),  -- as in the ledger; NULL: any
  model text not null check (model <> ''),  -- as in the ledger; contract prices may use * and ?
  service_tier text check (service_tier <> ''),  -- NULL: standard
  region text check (region <> ''),  -- NULL: any without a row of its own
  effective_from text check (effective_from is strftime('%Y-%m-%dT%H:%M:%fZ', effective_from, '+0 days')),  -- NULL: since ever
  effective_to text  -- up to, not including; NULL: open
    check (effective_to is strftime('%Y-%m-%dT%H:%M:%fZ', effective_to, '+0 days')),
  time_from text check (time_from glob '[0-2][0-9]:[0-5][0-9]' and time_from < '24'),  -- UTC, for prices of a part of each day; NULL: all day
  time_to text check (time_to glob '[0-2][0-9]:[0-5][0-9]' and time_to < '24'),
  above_tokens integer check (above_tokens >= 0),  -- the band of longer inputs; NULL: the base price
  comparator text not null default 'gt' check (comparator in ('gt', 'ge')),  -- above the threshold, or from it on
  input integer check (input between 0 and 4000000000),  -- per token
  cache_read integer check (cache_read between 0 and 4000000000),
  cache_write integer check (cache_write between 0 and 4000000000),
  cache_write_1h integer check (cache_write_1h between 0 and 4000000000),
  output integer check (output between 0 and 4000000000),
  reasoning integer check (reasoning between 0 and 4000000000),
  web_search integer check (web_search between 0 and 1000000000000),  -- per request
  request integer check (request between 0 and 1000000000000),  -- per call
  units text check (units is null or json_type(units) = 'object'),  -- per unit of ledger.usage
  discount text  -- instead of prices: the share taken off the list price, "0.15"
    check (cast(discount as real) > 0 and cast(discount as real) < 1),
  source_model text,  -- what the source calls the model
  basis text,  -- how the row came about: published, 0.5 x standard (batch), …
  check (effective_from is null or effective_to is null or effective_from < effective_to),
  check ((time_from is null) = (time_to is null)),
  check (discount is null or coalesce(input, cache_read, cache_write, cache_write_1h, output, reasoning) is null)
) strict;

create index price_revision_model on price_revision (model);

create trigger price_revision_no_update before update on price_revision begin
  select raise(abort, 'price rows are never changed: record a later row');
end;

create trigger price_revision_no_delete before delete on price_revision begin
  select raise(abort, 'price rows are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger price_revision_no_replace before insert on price_revision when exists (select 1 from price_revision where id = new.id) begin
  select raise(abort, 'price rows are never changed: record a later row');
end;
