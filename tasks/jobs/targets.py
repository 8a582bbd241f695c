"""Ray driver of the stage `targets`: the text LLM's answers to every transcript, and its logits.

python -m tasks.jobs.targets --spec URI
"""

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow.parquet as pq
import ray
import torch
from ray.util import ActorPool
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.config.run import TargetsConfig
from aura_core.ingest.source_item import REJECTED_NAME
from aura_core.stages import StageSpec
from aura_core.targets.answers import part_name, write_part
from aura_core.targets.author import TargetGenerator
from aura_core.teacher_cache.index import open_cache
from tasks.jobs import driver

_COLUMNS = ("id", "key", "text", "instruction", "response")
# Calls are tried again as long as there are restarts: until the loss of a node is noticed, they
# fail within seconds. Errors of the code are not tried again.
_MAX_RESTARTS = 3


@ray.remote(max_restarts=_MAX_RESTARTS, max_task_retries=-1)
class Writer:
    """A worker with the text LLM in its memory."""

    def __init__(self, spec: StageSpec, config: TargetsConfig) -> None:
        torch.set_num_threads(max(1, math.floor(spec.runtime.cpus_per_worker)))
        self._uri = spec.uri
        # Not loaded here: of an error in __init__ Ray keeps the text alone.
        self._author = cache(lambda: TargetGenerator(spec.inputs["text_lora"], config))

    def write(self, number: int, rows: Sequence[dict[str, Any]]) -> int:
        """Make and publish one part; return its number of utterances."""
        write_part(self._uri, number, self._author().write(rows))
        return len(rows)


def run(spec: StageSpec) -> driver.Outcome:
    """Make the parts that are missing; return the artifact's files, counts and metrics."""
    config = driver.spec_config(spec, TargetsConfig)
    parts = _parts(spec.inputs["teacher_cache"], config.part_utterances)
    _write_missing(spec, config, parts)
    names = [part_name(number) for number in range(len(parts))]
    unfinished = {key for name in names for key in _unfinished(spec.uri, name)}
    reason = f"the LLM's own answer is empty or longer than {config.max_new_tokens} tokens"
    left_out = [row["id"] for rows in parts for row in rows if row["key"] in unfinished]
    lines = [json.dumps({"id": each, "reason": reason}) + "\n" for each in left_out]
    store.write_text(store.join(spec.uri, REJECTED_NAME), "".join(lines))
    counts = {"utterances": sum(map(len, parts)), "unanswered": len(unfinished)}
    return [*names, REJECTED_NAME], counts, {}


def _parts(cache_uri: str, size: int) -> list[list[dict[str, Any]]]:
    """The utterances of the cache in its own order, cut into parts."""
    cache = open_cache(cache_uri)
    columns = [cache.column(name) for name in _COLUMNS]
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _write_missing(
    spec: StageSpec, config: TargetsConfig, parts: Sequence[list[dict[str, Any]]]
) -> None:
    # A part is published whole: one that is there is done.
    there = set(store.list_names(spec.uri))
    missing = [(n, rows) for n, rows in enumerate(parts) if part_name(n) not in there]
    writer = Writer.options(**driver.worker_options(spec.runtime))
    count = min(spec.runtime.workers, len(missing))
    pool = ActorPool([writer.remote(spec, config) for _ in range(count)])
    with tqdm(total=sum(len(rows) for _, rows in missing), desc="targets", unit="utt") as progress:
        for done in pool.map_unordered(lambda actor, part: actor.write.remote(*part), missing):
            progress.update(done)


def _unfinished(uri: str, name: str) -> list[str]:
    with store.local_file(store.join(uri, name)) as path:
        rows = pq.read_table(path, columns=["key", "response"]).to_pylist()
    return [row["key"] for row in rows if row["response"] is None]


if __name__ == "__main__":
    driver.main(run)
