"""Ray driver of the stage `ingest`: parts of the utterance table, one a call.

python -m tasks.jobs.ingest --spec URI
"""

import logging
import posixpath
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import ray
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.config.run import IngestConfig
from aura_core.errors import AuraError
from aura_core.ingest.ingest import make_part, rejections_path
from aura_core.ingest.ingest_plan import IngestPlan, Part, plan_ingest
from aura_core.ingest.source_item import (
    REJECTED_NAME,
    Rejection,
    check_share,
    count_kinds,
    read_rejections,
    write_report,
)
from aura_core.ingest.utterances import UTTERANCES, part_path, read_table
from aura_core.stages import StageSpec
from tasks.jobs import driver

log = logging.getLogger("aura")


def run(spec: StageSpec) -> tuple[list[str], dict[str, int], dict[str, Any]]:
    """Make the parts that are missing; return the artifact's files, counts and metrics.

    Raises:
        AuraError: if too much is rejected or a split has lost every utterance.
    """
    config = driver.spec_config(spec, IngestConfig)
    plan = plan_ingest(config, human="human" in spec.identity["pinned"])
    splits = sum((part.splits for part in plan.parts), Counter[str]())
    log.info("splits: %s", ", ".join(f"{name} {count}" for name, count in sorted(splits.items())))
    if plan.renamed:
        log.warning("%d ids were taken: they got -2, -3, ... appended", plan.renamed)
    # Too much is wrong before any audio is read: say so at once.
    _report(spec, config, plan, plan.rejections)
    _make_missing_parts(spec, config, plan)
    rejections = [*plan.rejections, *_part_rejections(spec.uri, len(plan.parts))]
    _report(spec, config, plan, rejections)
    files = [REJECTED_NAME, *(part_path(number) for number in range(len(plan.parts)))]
    counts, metrics = _summary(spec.uri, rejections)
    if config.manifest is None:
        metrics["voices"] = _voices(spec.uri)
    _check_splits(plan, counts)
    return files, counts, metrics


def _report(
    spec: StageSpec, config: IngestConfig, plan: IngestPlan, rejections: Sequence[Rejection]
) -> None:
    """Publish the rejections, also those a run is about to fail for."""
    write_report(store.join(spec.uri, REJECTED_NAME), rejections)
    check_share(rejections, plan.num_listed, config.max_rejected_share)


def _make_missing_parts(spec: StageSpec, config: IngestConfig, plan: IngestPlan) -> None:
    done = set(store.list_names(store.join(spec.uri, UTTERANCES)))
    missing = [
        part for part in plan.parts if posixpath.basename(part_path(part.number)) not in done
    ]
    log.info("ingest: %d parts, %d to make", len(plan.parts), len(missing))
    task = ray.remote(make_part).options(**driver.worker_options(spec.runtime), max_retries=3)
    second_voice = spec.identity["pinned"].get("second_voice")
    waiting = iter(missing)
    running: dict[Any, Part] = {}
    with tqdm(total=sum(map(len, missing)), desc="ingest", unit="utt") as progress:
        while True:
            # As many as there are workers: a longer queue would only hold its items twice.
            for part in islice(waiting, spec.runtime.workers - len(running)):
                running[task.remote(spec.uri, part, config, second_voice)] = part
            if not running:
                return
            ready = ray.wait(list(running), num_returns=1)[0][0]
            ray.get(ready)
            progress.update(len(running.pop(ready)))


def _part_rejections(uri: str, num_parts: int) -> list[Rejection]:
    return [
        rejection
        for number in range(num_parts)
        for rejection in read_rejections(store.join(uri, rejections_path(number)))
    ]


def _summary(uri: str, rejections: list[Rejection]) -> tuple[dict[str, int], dict[str, Any]]:
    table = read_table(uri, columns=["split", "duration_s"])
    utterances: Counter[str] = Counter()
    duration_s: Counter[str] = Counter()
    for row in table.to_pylist():
        utterances[row["split"]] += 1
        duration_s[row["split"]] += row["duration_s"]
    counts = {"utterances": table.num_rows, "rejected": len(rejections)}
    counts |= {f"split {name}": count for name, count in sorted(utterances.items())}
    counts |= {f"rejected: {kind}": count for kind, count in count_kinds(rejections).items()}
    hours = {name: round(seconds / 3600, 4) for name, seconds in sorted(duration_s.items())}
    return counts, {"hours": hours}


def _voices(uri: str) -> dict[str, list[str]]:
    """Who speaks each split of the demo corpus; in some clips nobody does."""
    voices: dict[str, set[str]] = {}
    for row in read_table(uri, columns=["split", "speaker"]).to_pylist():
        if row["speaker"] is not None:
            voices.setdefault(row["split"], set()).add(row["speaker"])
    return {split: sorted(names) for split, names in sorted(voices.items())}


def _check_splits(plan: IngestPlan, counts: dict[str, int]) -> None:
    for split in sorted(set().union(*(part.splits for part in plan.parts))):
        if f"split {split}" not in counts:
            raise AuraError(f"every utterance of split {split!r} is rejected: see {REJECTED_NAME}")


if __name__ == "__main__":
    driver.main(run)
