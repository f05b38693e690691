create table loop_lease (
  -- Who runs the closed loop on this ledger: one runner at a time. A state and no fact: at most one row.
  id integer primary key check (id = 1),
  holder text not null,  -- host, process and a random part
  taken_at text not null,
  valid_until text not null  -- the runner extends it; after this moment another may take it
) strict;
