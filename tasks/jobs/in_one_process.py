"""Stages as plain function calls in one process with one Ray: no flow, server or drivers.

    python -m tasks.jobs.in_one_process SPEC_URI...

What `aura bench overhead` measures the orchestration against.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

import ray

from aura_core.config.stage import single_node
from aura_core.stages import STAGES, StageSpec
from tasks.jobs import driver, private_ray
from tasks.stage_driver import turn_telemetry_off


def make(specs: Sequence[StageSpec]) -> None:
    """Make the artifacts of the stages, in this order."""
    private_ray.start(single_node(spec.runtime for spec in specs))
    try:
        for spec in specs:
            job = import_module(f"tasks.jobs.{STAGES[spec.stage].driver}")
            driver.publish(spec, job.run(spec))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    turn_telemetry_off()
    make([driver.read_spec(uri) for uri in sys.argv[1:]])
