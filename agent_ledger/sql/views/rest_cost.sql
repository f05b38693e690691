/*
What did no tool call claim of the bills? By day as far as it is summed, else line by line.

Grain: one row per day, or per charge line with a rest.
Reads: rest_rollup, unallocated_charge, compacted.
Sums to: unallocated_charge, exactly.

bucket        text     The UTC day, or the moment, at which the lines' periods begin
cost_4096ths  integer  What is left of them exactly, first part: whole 4096ths of a dollar
cost_picos    integer  Second part: the remaining pico-dollars (1e-12 USD), which may be more than one 4096th
*/
select day as bucket, cost_4096ths, cost_picos
from rest_rollup
where (select charge_row from compacted) > 0
union all
select period_start, cast(0 as integer), cost_picos
from unallocated_charge
where (select charge_row from compacted) = 0 and cost_picos is not null
