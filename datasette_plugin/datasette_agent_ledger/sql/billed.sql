/*
How far do the bills of the clouds reach?

Reads: coverage.
*/
select billed_through, charged_usd, unallocated_usd, unconverted_charges
from coverage
