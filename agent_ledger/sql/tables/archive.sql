create table archive (
  -- Parquet files that hold old rows of a table in its stead, one row per file. The rollups have these rows summed, so
  -- that figures stay as they are; see archiving.py. A file has its rows in batches: the first `batches` of them have
  -- left the table. What is in later ones (somebody was interrupted) is still there, and stands for nothing in the file.
  id integer primary key,
  source text not null check (source in ('ledger', 'audit')),  -- the table
  path text not null unique,  -- of the file: absolute, or from the ledger's folder on
  since text not null,  -- the file's rows are of this time: ISO 8601 UTC
  until text not null,  -- and before this
  first_id integer not null,  -- of the rows in the file
  last_id integer not null,
  first_ts text not null,
  last_ts text not null,
  batches integer not null,
  rows integer not null,  -- that have left the table
  counted integer not null,  -- of them those that count: the others are superseded by another row of the file
  bytes integer not null,  -- of the file
  digest text not null check (length(digest) = 64),  -- SHA-256 (hex) of the file
  content_digest text not null check (length(content_digest) = 64),  -- of its rows, see archive_files.py
  archived_at text not null,
  moving integer not null check (moving in (0, 1))  -- 1 only within a transaction: rows are just leaving the table
) strict;

create index archive_until on archive (source, until);
create index archive_moving on archive (source) where moving = 1;

create trigger archive_no_update
before update of id, source, path, since, until, first_id, last_id, first_ts, last_ts, bytes, digest, content_digest, archived_at
on archive begin
  select raise(abort, 'what was archived is never changed');
end;

create trigger archive_no_delete before delete on archive begin
  select raise(abort, 'what was archived stays known: the rows are nowhere else');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger archive_no_replace before insert on archive
when exists (select 1 from archive where id = new.id or path = new.path) begin
  select raise(abort, 'what was archived is never changed');
end;
