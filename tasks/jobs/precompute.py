"""Ray driver of the stage `teacher_cache`: teacher states of every utterance, shard by shard.

python -m tasks.jobs.precompute --spec URI
"""

import logging
import math

import ray
import torch
from ray.util import ActorPool
from tqdm import tqdm

from aura_core.cache import build
from aura_core.cache.plan import Plan, ShardPlan
from aura_core.cache.record import ShardRecord
from aura_core.config import TeacherCacheConfig
from aura_core.models.whisper_encoder import load_whisper
from aura_core.pipeline import StageSpec
from tasks.jobs import driver

_MAX_RETRIES = 3
log = logging.getLogger("aura")


@ray.remote(max_restarts=_MAX_RETRIES, max_task_retries=_MAX_RETRIES)
class Encoder:
    """A worker with a teacher in its memory."""

    def __init__(self, spec: StageSpec) -> None:
        # More threads than CPUs wait for each other: ten times slower, not faster.
        torch.set_num_threads(max(1, math.floor(spec.runtime.cpus_per_worker)))
        self._spec = spec
        self._config = driver.spec_config(spec, TeacherCacheConfig)
        device = "cuda" if spec.runtime.gpus_per_worker > 0 else "cpu"
        self._teacher = load_whisper(self._config.teacher, device)

    def build(self, shard: ShardPlan) -> ShardRecord:
        """Make one shard; a finished one is verified and kept."""
        ingest_uri = self._spec.inputs["ingest"]
        return build.build_shard(self._teacher, ingest_uri, self._spec.uri, shard, self._config)

    def publish_stem(self) -> None:
        """Publish the part of the teacher a student may start from."""
        build.publish_stem(self._teacher, self._spec.uri)


def run(spec: StageSpec) -> driver.Outcome:
    """Make the shards that are missing; return the artifact's files, counts and metrics."""
    config = driver.spec_config(spec, TeacherCacheConfig)
    plan = build.plan_cache(spec.inputs["ingest"], spec.uri, config)
    log.info("teacher_cache: %d shards planned", len(plan.shards))
    records = _build_shards(spec, plan)
    build.publish_layer_stats(spec.uri, plan)
    return build.summarise(records)


def _build_shards(spec: StageSpec, plan: Plan) -> list[ShardRecord]:
    encoder = Encoder.options(
        num_cpus=spec.runtime.cpus_per_worker, num_gpus=spec.runtime.gpus_per_worker
    )
    encoders = [encoder.remote(spec) for _ in range(min(spec.runtime.workers, len(plan.shards)))]
    ray.get(encoders[0].publish_stem.remote())
    records: dict[str, ShardRecord] = {}
    total_s = sum(shard.duration_s for shard in plan.shards)
    with tqdm(total=round(total_s), desc="teacher cache", unit="s", unit_scale=True) as progress:
        finished = ActorPool(encoders).map_unordered(
            lambda actor, shard: actor.build.remote(shard), plan.shards
        )
        for record in finished:
            records[record.name] = record
            progress.update(record.duration_s)
    return [records[shard.name] for shard in plan.shards]


if __name__ == "__main__":
    driver.main(run)
