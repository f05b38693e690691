create table tool_orphan (
  -- Tool calls up to rollup_state.audit_row whose LLM call was not in the ledger when they were summed: it may have come
  -- since. Derived.
  id integer primary key references audit (id)
) strict;
