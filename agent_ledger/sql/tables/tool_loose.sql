create table tool_loose (
  -- Tool calls that were summed, or were about to be, when something became known that puts them elsewhere: another LLM
  -- call, or another account of the same tool call. They are in no sum until the next compacting. Derived.
  id integer primary key references audit (id)
) strict;

-- The views that say where a call is summed still say the old place here: whoever adds a row does it beforehand.
create trigger tool_loose_leaves_rollups after insert on tool_loose
when new.id <= (select audit_row from rollup_state) and new.id not in (select id from superseded_tool_call)
begin
  update tool_allocated set
    calls = calls - 1,
    cost_4096ths = cost_4096ths - taken.picos / 244140625,
    cost_picos = cost_picos - taken.picos % 244140625
  from tool_rollup_place as place
  join (select sum(cost_picos) as picos from allocation where audit_id = new.id) as taken on taken.picos is not null
  where place.id = new.id
    and (tool_allocated.grain, tool_allocated.key_id, tool_allocated.bucket, tool_allocated.cut, tool_allocated.customer_id)
      = (place.grain, place.key_id, place.bucket, place.cut, place.customer_id);

  delete from tool_allocated
  where calls = 0
    and (grain, key_id, bucket, cut, customer_id) in (
      select grain, key_id, bucket, cut, customer_id from tool_rollup_place where id = new.id
    );

  update tool_rollup set
    calls = calls - 1,
    failed_calls = tool_rollup.failed_calls - gone.failed_calls,
    units = tool_rollup.units - gone.units_sum,
    cost_4096ths = tool_rollup.cost_4096ths - gone.cost_4096ths,
    cost_picos = tool_rollup.cost_picos - gone.cost_picos
  from tool_rollup_place as place
  join tool_place as gone on gone.id = place.id
  where place.id = new.id
    and (tool_rollup.grain, tool_rollup.key_id, tool_rollup.bucket, tool_rollup.cut, tool_rollup.customer_id)
      = (place.grain, place.key_id, place.bucket, place.cut, place.customer_id);

  delete from tool_rollup
  where calls = 0
    and (grain, key_id, bucket, cut, customer_id) in (
      select grain, key_id, bucket, cut, customer_id from tool_rollup_place where id = new.id
    );
end;
