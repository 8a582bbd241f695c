import io

import numpy as np
import pytest
import soundfile


@pytest.fixture
def audio():
    """A file's bytes: noise of a length, a rate and a format."""

    def make(duration_s=0.5, rate=16_000, file_format="WAV", channels=1):
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, (int(duration_s * rate), channels))
        buffer = io.BytesIO()
        soundfile.write(buffer, noise, rate, format=file_format)
        return buffer.getvalue()

    return make


@pytest.fixture
def write(tmp_path):
    """Write a file below the test's own folder; returns the folder."""

    def make(path, content):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return make


@pytest.fixture
def read():
    """Items of a folder by their ids, and its rejections by theirs."""

    def of(name, folder):
        from aura_core.benchmarks.item import BenchmarkItem
        from aura_core.benchmarks.preparation import read_folder
        from aura_core.config.benchmarks import BENCHMARKS

        entries = list(read_folder(BENCHMARKS[name], folder))
        items = {each.id: each for each in entries if isinstance(each, BenchmarkItem)}
        rejected = {e.id: e.kind for e in entries if not isinstance(e, BenchmarkItem)}
        assert len(items) + len(rejected) == len(entries)
        return items, rejected

    return of


@pytest.fixture
def score():
    """What the benchmark's own scorer makes of answers: its primary metric."""

    def of(name, items, answers):
        from aura_core.config.benchmarks import BENCHMARKS
        from aura_core.evaluation.scorers.scorer import Prediction
        from aura_core.evaluation.scoring import find_scorer

        scorer = find_scorer(BENCHMARKS[name].scorer)
        predictions = [
            Prediction(
                id=item.id, references=item.references, prediction=answers[item.id],
                choices=item.choices, extra=item.extra,
            )
            for item in items.values()
        ]  # fmt: skip
        return scorer.score(predictions)[scorer.primary].value

    return of
