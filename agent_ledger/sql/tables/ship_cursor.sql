create table ship_cursor (
  -- How far each sink has each table. Rows up to `shipped` are durable there; those up to `sending` may be. Who starts
  -- again sends exactly these once more. Rows above `shipped` are not archived.
  sink text not null,  -- the destination, without user and password
  source text not null,  -- the table
  shipped integer not null default 0,  -- the last row that the sink has confirmed; 0: none
  sending integer not null default 0,  -- the last row of the batch that is on its way; as `shipped`: none is
  version text,  -- of a table that is sent as a whole: which state of it was confirmed; NULL: none, or not such a table
  shipped_at text,  -- when the sink last confirmed something, or had nothing to take; NULL: never
  primary key (sink, source),
  check (sending >= shipped)
) strict, without rowid;

create trigger ship_cursor_no_way_back before update of shipped on ship_cursor when new.shipped < old.shipped begin
  select raise(abort, 'what was shipped stays shipped: forget the sink to begin anew');
end;
