create table unit (
  -- What units of quantity are worth in a common base, so that calls and bills can be compared. These are known; add your
  -- own. A unit that is not here is only ever compared with itself.
  name text primary key collate nocase,  -- as bills or tool calls write it: GB, Requests, 1K tokens, …
  base text not null,  -- byte, request, token, ms, …
  factor real not null check (factor > 0)  -- base units in one
) strict, without rowid;

insert into unit (name, base, factor) values
  ('request', 'request', 1),
  ('requests', 'request', 1),
  ('API Calls', 'request', 1),
  ('API Requests', 'request', 1),
  ('invocations', 'request', 1),
  ('operations', 'request', 1),
  ('queries', 'request', 1),
  ('1K Requests', 'request', 1e3),
  ('10K Requests', 'request', 1e4),
  ('1M Requests', 'request', 1e6),
  ('byte', 'byte', 1),
  ('bytes', 'byte', 1),
  ('By', 'byte', 1),
  ('KB', 'byte', 1024),  -- as AWS bills, in powers of two
  ('MB', 'byte', 1048576),
  ('GB', 'byte', 1073741824),
  ('TB', 'byte', 1099511627776),
  ('KiB', 'byte', 1024),
  ('MiB', 'byte', 1048576),
  ('GiB', 'byte', 1073741824),
  ('TiB', 'byte', 1099511627776),
  ('ms', 'ms', 1),
  ('milliseconds', 'ms', 1),
  ('s', 'ms', 1e3),
  ('second', 'ms', 1e3),
  ('seconds', 'ms', 1e3),
  ('minute', 'ms', 6e4),
  ('minutes', 'ms', 6e4),
  ('hour', 'ms', 3.6e6),
  ('hours', 'ms', 3.6e6),
  ('Hrs', 'ms', 3.6e6),
  ('GB-Second', 'GB-Second', 1),
  ('GB-Seconds', 'GB-Second', 1),
  ('Lambda-GB-Second', 'GB-Second', 1),
  ('token', 'token', 1),
  ('tokens', 'token', 1),
  ('1K tokens', 'token', 1e3),
  ('1M tokens', 'token', 1e6);
