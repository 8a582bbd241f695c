"""Where the drivers of a run's stages run: as subprocesses here, or as jobs on a cluster."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from aura_core.pipeline import StageSpec
from aura_core.stage_config import single_node
from tasks.local_driver import run_driver
from tasks.local_ray import LocalRay
from tasks.stage_driver import Launch


@contextmanager
def launcher(where: str, specs: Sequence[StageSpec]) -> Iterator[Launch]:
    """Give a function that runs one stage's driver to its end.

    It raises AuraError for a mistake the user can mend, in the driver's own words, StageLostError
    for what may pass, and StageCrashError for anything else that keeps a driver from finishing.

    Args:
        where: "local" or the address of a Ray cluster's job server (http://host:8265).
        specs: the stages of the run, which share one Ray here.
    """
    if where == "local":
        with closing(LocalRay(single_node(spec.runtime for spec in specs))) as local_ray:
            yield partial(run_driver, local_ray)
    else:
        from tasks.submit import run_job

        yield partial(run_job, where)
