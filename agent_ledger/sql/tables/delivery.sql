create table delivery (
  -- One delivery of a bill: the lines that came together for one billing period. Bills are restated until their month
  -- closes: a later delivery of the same bill and period counts instead of the earlier one, and both stay.
  id integer primary key,  -- the later, the higher
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  format text not null check (format <> ''),  -- cur, focus, anthropic-cost, …
  bill text not null check (bill <> ''),  -- whose bill: the provider and the paying account
  billing_period text not null  -- YYYY-MM; YYYY-MM-DD where a provider reports day by day
    check (billing_period glob '[0-9][0-9][0-9][0-9]-[01][0-9]*'),
  content text not null check (content in ('charges', 'usage')),  -- money, or only what was used
  name text not null check (name <> ''),  -- what tells this delivery from another
  unique (bill, billing_period, format, content, name)
) strict;

create trigger delivery_no_update before update on delivery begin
  select raise(abort, 'deliveries are never changed: import the corrected bill');
end;

create trigger delivery_no_delete before delete on delivery begin
  select raise(abort, 'deliveries are never removed: import the corrected bill');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger delivery_no_replace before insert on delivery when exists (select 1 from delivery where id = new.id) begin
  select raise(abort, 'deliveries are never changed: import the corrected bill');
end;
