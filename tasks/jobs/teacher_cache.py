"""Ray driver of the stage `teacher_cache`: teacher states of every utterance, shard by shard.

python -m tasks.jobs.teacher_cache --spec URI
"""

import logging
import math
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import ray
import torch
from ray.util import ActorPool
from tqdm import tqdm

from aura_core.config.run import TeacherCacheConfig
from aura_core.device import device_for
from aura_core.models.teachers import load_teacher
from aura_core.stages import StageSpec
from aura_core.teacher_cache import build
from aura_core.teacher_cache.plan import Plan, ShardPlan
from tasks.jobs import driver

# Calls are tried again as long as there are restarts: until the loss of a node is noticed, they
# fail within seconds. Errors of the code are not tried again.
_MAX_RESTARTS = 3
log = logging.getLogger("aura")


@ray.remote(max_restarts=_MAX_RESTARTS, max_task_retries=-1)
class Encoder:
    """A worker with a teacher in its memory."""

    def __init__(self, spec: StageSpec) -> None:
        # More threads than CPUs wait for each other: ten times slower, not faster.
        torch.set_num_threads(max(1, math.floor(spec.runtime.cpus_per_worker)))
        self._ingest_uri, self._uri = spec.inputs["ingest"], spec.uri
        self._builder: build.Builder | None = None
        self._config = driver.spec_config(spec, TeacherCacheConfig)
        name, runtime = self._config.teacher, spec.runtime
        # Not loaded here: of an error in __init__ Ray keeps the text alone.
        self._teacher = cache(lambda: load_teacher(name, device_for(runtime)))

    def publish_teacher_parts(self, plan: Plan) -> None:
        """Publish what training needs of the teacher."""
        uris = self._ingest_uri, self._uri
        build.publish_teacher_parts(self._teacher(), *uris, plan, self._config)

    def build(self, shard: ShardPlan) -> float:
        """Make one shard, or keep the finished one; return its seconds of audio."""
        if self._builder is None:
            # The codec is there now: the first of the workers has published it.
            uris = self._ingest_uri, self._uri
            self._builder = build.open_builder(self._teacher(), *uris, self._config)
        return self._builder.build(shard).duration_s


def run(spec: StageSpec) -> driver.Outcome:
    """Make the shards that are missing; return the artifact's files, counts and metrics."""
    config = driver.spec_config(spec, TeacherCacheConfig)
    plan = build.plan_cache(spec.inputs["ingest"], spec.uri, config)
    log.info("teacher_cache: %d shards planned", len(plan.shards))
    _build_shards(spec, plan)
    return build.publish_catalogue(spec.uri, plan)


def _build_shards(spec: StageSpec, plan: Plan) -> None:
    encoder = Encoder.options(**driver.worker_options(spec.runtime))
    encoders = [encoder.remote(spec) for _ in range(min(spec.runtime.workers, len(plan.shards)))]
    ray.get(encoders[0].publish_teacher_parts.remote(plan))
    total_s = sum(shard.duration_s for shard in plan.shards)
    with tqdm(total=total_s, desc="teacher cache", unit="s", unit_scale=True) as progress:
        for done, duration_s in enumerate(_map_unordered(encoders, plan.shards), 1):
            progress.set_postfix(shards=f"{done}/{len(plan.shards)}", refresh=False)
            progress.update(duration_s)


def _map_unordered(encoders: list[Any], shards: Iterable[ShardPlan]) -> Iterator[float]:
    """Give every encoder a shard, and the next one when it is done: no queue of a million."""
    pool, waiting = ActorPool(encoders), iter(shards)

    def submit(count: int) -> None:
        for shard in islice(waiting, count):
            pool.submit(lambda encoder, shard: encoder.build.remote(shard), shard)

    submit(len(encoders))
    while pool.has_next():
        duration_s = pool.get_next_unordered()
        submit(1)
        yield duration_s


if __name__ == "__main__":
    driver.main(run)
