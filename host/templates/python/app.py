"""`{{name}}`: of the numbers that come under each key how many there were, their sum, the least and the greatest."""

import json

from componentize_py_types import Err
from packed import items, pack
from summary import with_number
from wit_world import exports
from wit_world.imports import state
from wit_world.imports import {{snake}}_totals as totals
from wit_world.imports.events import Batch, Failure_Reject, Rejection


class Handler(exports.Handler):
    async def handle(self, batch: Batch) -> None:
        keys = [(key or b"").decode("utf-8", "replace") for key in items(batch.keys)]
        # One look-up and one write per batch.
        summaries = dict.fromkeys(keys)
        found = items(state.get_many(pack(key.encode() for key in summaries)))
        summaries = {key: json.loads(kept) if kept else None for key, kept in zip(list(summaries), found)}
        refused = []
        for at, (key, value) in enumerate(zip(keys, items(batch.values))):
            try:
                summaries[key] = with_number(summaries[key], value or b"")
            except ValueError as error:
                refused.append(Rejection(at, str(error)))
        changed = {key: summary for key, summary in summaries.items() if summary}
        kept = [json.dumps(summary).encode() for summary in changed.values()]
        state.put_many(pack(key.encode() for key in changed), pack(kept))
        totals.upsert([totals.Row(key, *summary) for key, summary in changed.items()])
        if refused:
            raise Err(Failure_Reject(refused))
