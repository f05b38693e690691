/*
Which rows were moved to Parquet files? Sums have them still; views of single calls do not.

Grain: one row per file.
Reads: archive.

archive_id  integer  archive.id
source      text     The table whose rows they are: ledger or audit
path        text     The file: absolute, or from the ledger's folder on
since       text     Its rows are of this time, ISO 8601 UTC
until       text     And before this
rows        integer  Rows that are in the file and no longer in the table
counted     integer  Of them those that count; the others tell of the same as one that does
first_ts    text     The first of all rows in the file
last_ts     text     The last
bytes       integer  The size of the file
digest      text     SHA-256 (hex) of the file
*/
select
  cast(id as integer) as archive_id,
  source,
  path,
  since,
  until,
  rows,
  counted,
  first_ts,
  last_ts,
  bytes,
  digest
from archive
