create table spend_token (
  -- Which responses a counter has already, so that one which is presented again is not counted twice.
  key text not null,
  token text not null,
  until text not null  -- remembered for so long
    check (until is strftime('%Y-%m-%dT%H:%M:%fZ', until, '+0 days')),
  primary key (key, token)
) strict, without rowid;

create index spend_token_until on spend_token (until);
