/* Does every axis sum to the same total as the calls themselves? From when on they are all in the file, and not archived. */
with kept as (
  select coalesce(max(until), '') as since from archive where source = 'ledger'
),
total as (
  select coalesce(sum(cost_picos / 244140625), 0) + coalesce(sum(cost_picos % 244140625), 0) / 244140625 as whole,
    coalesce(sum(cost_picos % 244140625), 0) % 244140625 as rest,
    count(*) as calls
  from call_cost
  where ts >= (select since from kept)
),
cube as (
  select coalesce(sum(cost_4096ths), 0) + coalesce(sum(cost_picos), 0) / 244140625 as whole,
    coalesce(sum(cost_picos), 0) % 244140625 as rest,
    coalesce(sum(calls), 0) as calls
  from daily_cost
  where day >= (select substr(since, 1, 10) from kept)
)
select
  'daily_cost' as subject,
  'it sums to ' || cube.calls || ' calls and ' || cube.whole || '/4096 USD, the calls to ' || total.calls || ' and ' || total.whole || '/4096' as problem
from total, cube
where (total.whole, total.rest, total.calls) <> (cube.whole, cube.rest, cube.calls)
