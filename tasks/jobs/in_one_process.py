"""Stages as plain function calls in one process with one Ray: no flow, server or drivers.

    python -m tasks.jobs.in_one_process SPEC_URI...

What `aura bench overhead` measures the orchestration against.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import ray

from aura_core.pipeline import StageSpec
from tasks.jobs import driver
from tasks.launch import JOBS


def make(specs: Sequence[StageSpec]) -> None:
    """Make the artifacts of the stages, in this order."""
    driver.start_private_ray(max(specs, key=_cpus))
    try:
        for spec in specs:
            job = import_module(f"tasks.jobs.{JOBS[spec.stage]}")
            driver.publish(spec, job.run(spec))
    finally:
        ray.shutdown()


def _cpus(spec: StageSpec) -> float:
    return spec.runtime.workers * spec.runtime.cpus_per_worker


if __name__ == "__main__":
    for name, value in driver.QUIET.items():
        os.environ.setdefault(name, value)
    make([driver.read_spec(uri) for uri in sys.argv[1:]])
