-- Who waits at a gate: a line is a sorted set a key, of members ticket␟run␟scope.

local GATE = {slot = 'Slot', pace = 'Pace', window = 'Window'}

function gates.first(pending) return with_defaults(pending.gates[1], GATE[pending.gates[1].type]) end

function gates.run_of(member) return split(member)[2] end

-- Returns the scope's row and its first gate, when the member waits at it.
function gates.waits_at(member)
  local parts = split(member)
  local run = get_run(parts[2])
  local row = run and run.live and get_scope(parts[2], parts[3])
  if not row or row.status == 'ended' or not row.pending or row.pending.member ~= member then return nil end
  return row, gates.first(row.pending)
end

function gates.passes(member, row)
  local parts = split(member)
  table.remove(row.pending.gates, 1)
  row.pending.member = ''
  touch_scope(parts[2], parts[3])
  note('walk', parts[2], parts[3])
end

-- Ends a run that has not started.
function gates.end_unstarted(run_id, result, merged_into)
  end_scope(run_id, '', get_scope(run_id, ''))
  finish_run(get_run(run_id), {status = 'skipped', result = result, merged_into = merged_into})
end
