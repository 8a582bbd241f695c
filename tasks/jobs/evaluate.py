"""Ray driver of the evaluation: makes the missing cells, scores all, times the models alone.

python -m tasks.jobs.evaluate --spec URI
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ray
from ray.util import ActorPool
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.config.run import EvaluateConfig
from aura_core.evaluation import cells as cell_plan
from aura_core.evaluation import comparison, items, results, scoring
from aura_core.evaluation.cells import Cell
from aura_core.evaluation.find import AUTO_PRECISION
from aura_core.evaluation.items import (
    CORPUS,
    TRANSCRIPTION,
    QuestionSet,
    question_sets,
)
from aura_core.evaluation.scorers import scorer
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scoring import find_scorer
from aura_core.stages import StageSpec
from tasks.jobs import driver


class PredictorActor:
    """A worker with the models in its memory: of all here, it alone needs torch and them."""

    def __init__(self, spec: StageSpec, config: EvaluateConfig) -> None:
        from aura_core.evaluation.predictor import Predictor

        self._predictor = Predictor(spec, config)

    def make_cell(self, cell: Cell) -> int:
        """Predict and publish a cell; return its number of items."""
        return self._predictor.make_cell(cell)

    def auto_precision(self) -> str:
        """What precision "auto" is on this worker."""
        return self._predictor.auto_precision

    def measure_latency(self, sets: list[QuestionSet], threads: int) -> list[results.Timing]:
        """Time the models with so many CPU threads."""
        return self._predictor.measure_latency(sets, threads)


def run(spec: StageSpec) -> tuple[list[str], dict[str, int], dict[str, Any]]:
    """Make the artifact of an evaluation: results, predictions, timings."""
    config = driver.spec_config(spec, EvaluateConfig)
    tasks = items.tasks_by_split(spec.inputs["ingest"], config.splits)
    sets = question_sets(tasks, spec.inputs)
    for questions in sets:
        # Before hours of answers that nobody could score.
        find_scorer(questions.scorer).require()
    cells = cell_plan.plan_cells(spec, config, sets)
    missing = [cell for cell in cells if not cell_plan.is_complete(cell)]
    workers = _start_workers(spec, config, count=len(missing))
    _make_cells(workers, missing)
    timings = _measure_latency(workers, config, sets)
    answers = {cell.label: cell_plan.load_cell(cell) for cell in cells}
    files = _copy_predictions(spec, answers)
    ingest = spec.inputs[CORPUS]
    writers = scoring.reference_writers(ingest, tasks)
    own = scoring.judges_itself(ingest, spec.identity["pinned"]["asr"]) if writers else False
    rows, compared = _score(config, cells, answers, writers if own else ())
    for model in cell_plan.compared(config, spec.inputs):
        ttft_ms = [timing.ttft_ms for timing in timings if timing.model == model]
        rows += scoring.score_latency(model, ttft_ms, config.bootstrap_samples, config.seed)
    results.write_timings(store.join(spec.uri, results.TIMINGS_NAME), timings)
    results.write_results(spec.uri, rows, compared, writers)
    clips = {timing.id for timing in timings}
    counts = {"cells": len(cells), "cells_made": len(missing), "clips_timed": len(clips)}
    metrics = {
        f"{row.model}.{row.task}.{row.metric}": row.value for row in rows if row.slice is None
    }
    # An export is in the precision of the figures.
    metrics[AUTO_PRECISION] = ray.get(workers[0].auto_precision.remote())
    return [*files, results.TIMINGS_NAME, results.RESULTS_NAME], counts, metrics


def _start_workers(spec: StageSpec, config: EvaluateConfig, count: int) -> list[Any]:
    actor = ray.remote(
        **driver.worker_options(config.runtime),
        max_restarts=3,
        # Until the loss of a node is noticed, calls fail within seconds.
        max_task_retries=-1,
    )(PredictorActor)
    # One is needed in any case, to time the models.
    return [actor.remote(spec, config) for _ in range(min(config.runtime.workers, count) or 1)]


def _make_cells(workers: list[Any], missing: Sequence[Cell]) -> None:
    """The cascade's cells are made from those of the ASR, so they come in a second wave."""
    waves = (
        [cell for cell in missing if cell.model != "cascade"],
        [cell for cell in missing if cell.model == "cascade"],
    )
    pool = ActorPool(workers)
    with tqdm(total=len(missing), desc="evaluate", unit="cell") as progress:
        for wave in waves:
            done = pool.map_unordered(lambda worker, cell: worker.make_cell.remote(cell), wave)
            for num_items in done:
                progress.update()
                progress.set_postfix(items=num_items)


def _measure_latency(
    workers: list[Any], config: EvaluateConfig, sets: Sequence[QuestionSet]
) -> list[results.Timing]:
    """Time the models with every CPU of the stage and nothing beside."""
    first, *others = workers
    for worker in others:
        ray.kill(worker)
    corpus = [questions for questions in sets if questions.source == CORPUS]
    asked = [questions for questions in corpus if questions.task != TRANSCRIPTION] or corpus
    threads = max(1, int(config.runtime.workers * config.runtime.cpus_per_worker))
    timings: list[results.Timing] = ray.get(first.measure_latency.remote(asked, threads))
    return timings


def _copy_predictions(spec: StageSpec, answers: Mapping[str, list[Prediction]]) -> list[str]:
    """Put every cell's predictions beside the results; returns their names."""
    files = {f"predictions/{label}.jsonl": found for label, found in answers.items()}
    for name, found in files.items():
        scorer.write_predictions(store.join(spec.uri, name), found)
    return list(files)


def _score(
    config: EvaluateConfig,
    cells: Sequence[Cell],
    answers: Mapping[str, list[Prediction]],
    by_own_asr: Collection[str],
) -> tuple[list[results.Row], list[results.Difference]]:
    """Score all; the ASR and its cascade have no figure in tasks with the ASR's own references."""
    rows, compared = [], []
    for questions, by_model in _by_set(cells).items():
        left_out = results.GIVEN_TRANSCRIPTS if questions.name in by_own_asr else ()
        found = {
            model: [answers[cell.label] for cell in seeds]
            for model, seeds in by_model.items()
            if model not in left_out
        }
        scored = comparison.score_models(
            questions.name,
            find_scorer(questions.scorer),
            found,
            config.bootstrap_samples,
            config.seed,
            questions.slices,
        )
        rows += scored[0]
        compared += scored[1]
    return rows, compared


def _by_set(cells: Sequence[Cell]) -> dict[QuestionSet, dict[str, list[Cell]]]:
    """The cells of each set of questions, by model: one a seed."""
    grouped: dict[QuestionSet, dict[str, list[Cell]]] = {}
    for cell in cells:
        by_model = grouped.setdefault(cell.questions, {})
        by_model.setdefault(cell.model, []).append(cell)
    return grouped


if __name__ == "__main__":
    driver.main(run)
