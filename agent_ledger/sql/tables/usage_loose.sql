create table usage_loose (
  -- Calls up to rollup_state.ledger_row that no rollup holds, because the cost of each is rounded by itself: those with
  -- other billed units that are no small whole numbers. Derived.
  id integer primary key references ledger (id)
) strict;
