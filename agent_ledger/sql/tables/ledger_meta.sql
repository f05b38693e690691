create table ledger_meta (
  -- What the library remembers about this file.
  key text primary key,
  value text not null
) strict, without rowid;
