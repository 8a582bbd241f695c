"""Ray driver of the stage `benchmark`: one spoken benchmark as a table of items.

python -m tasks.jobs.benchmark --spec URI
"""

from typing import Any

import ray

from aura_core.benchmarks.preparation import prepare
from aura_core.config.run import BenchmarkConfig
from aura_core.stages import StageSpec
from tasks.jobs import driver


def run(spec: StageSpec) -> tuple[list[str], dict[str, int], dict[str, Any]]:
    """Make the artifact of a benchmark: its items, its card and what was rejected.

    Raises:
        AuraError: if the folder is not in the set's layout, or too much of it is rejected.
    """
    config = driver.spec_config(spec, BenchmarkConfig)
    task = ray.remote(prepare).options(**driver.worker_options(spec.runtime), max_retries=3)
    files, counts = ray.get(
        task.remote(config.name, config.source, spec.uri, spec.identity["pinned"])
    )
    return files, counts, {}


if __name__ == "__main__":
    driver.main(run)
