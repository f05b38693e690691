create table charge (
  -- One line of a cloud or provider bill, as billed. Rows are never changed or removed: a corrected bill is another
  -- delivery.
  id integer primary key,
  delivery_id integer not null references delivery (id),
  charge_id text not null check (charge_id <> ''),  -- the bill's id of the line, unique in its delivery
  period_start text not null  -- of the usage
    check (period_start is strftime('%Y-%m-%dT%H:%M:%fZ', period_start, '+0 days')),
  period_end text not null  -- not included
    check (period_end is strftime('%Y-%m-%dT%H:%M:%fZ', period_end, '+0 days')),
  provider text not null check (provider <> ''),  -- aws, azure, google, anthropic, openai, …
  account text,  -- the account that used it
  service text,  -- AmazonS3, AmazonRDS, …
  resource_id text,  -- as billed, an ARN or a bare name; NULL: the line names no resource
  operation text,  -- GetObject, Invoke, …
  usage_type text,  -- what is metered: USE1-Requests-Tier2, …
  quantity text,  -- an exact decimal, in `unit`
  unit text,  -- Requests, GB, Hrs, …
  cost text not null,  -- an exact decimal, in `currency`; negative for credits
  cost_picos integer,  -- the same in pico-dollars (1e-12 USD), rounded half to even; NULL: another currency
  currency text not null default 'USD' check (currency glob '[A-Z][A-Z][A-Z]'),
  request_id text,  -- NULL, nearly always: bills name no request
  invoice_id text,
  tags text check (tags is null or json_type(tags) = 'object'),
  category text not null default 'usage'
    check (category in ('usage', 'tax', 'credit', 'refund', 'fee', 'purchase', 'discount', 'adjustment')),
  kind text not null default 'cloud'  -- llm: the tokens of a model, which the ledger has priced already
    check (kind in ('cloud', 'llm')),
  model text,  -- of llm lines, where the bill names it
  token_type text,  -- of llm lines, where the bill says it: input, output, cache_read, cache_write, …
  description text,
  unique (delivery_id, charge_id),
  check (period_start < period_end),
  check ((cost_picos is null) = (currency <> 'USD'))
) strict;

create index charge_resource_id on charge (resource_id, period_start) where resource_id is not null;

create trigger charge_no_update before update on charge begin
  select raise(abort, 'charge rows are never changed: import the corrected bill');
end;

create trigger charge_no_delete before delete on charge begin
  select raise(abort, 'charge rows are never removed: import the corrected bill');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger charge_no_replace before insert on charge when exists (select 1 from charge where id = new.id) begin
  select raise(abort, 'charge rows are never changed: import the corrected bill');
end;
