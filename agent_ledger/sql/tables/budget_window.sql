create table budget_window (
  -- When the days, weeks and months of a time zone begin, for years ahead: SQLite knows no zones. Derived from zones and
  -- budgets by agent_ledger.control.windows; a budget's window is found by time, so that nothing has to be reset.
  zone text not null,
  period text not null,
  starts text not null,  -- the window is from this moment on, ISO 8601 UTC
  ends text not null,  -- up to, not including, this one
  name text not null,  -- 2026-11-30, 2026-W49 or 2026-11
  primary key (zone, period, starts)
) strict, without rowid;
