"""What is scored together: a task on a split of the corpus, or a benchmark."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aura_core.benchmarks.benchmark import Reading
from aura_core.benchmarks.catalogue import BENCHMARKS

CORPUS = "ingest"
BENCHMARK = "benchmark."
TRANSCRIPTION = "transcribe"
_CORPUS_SLICES = ("family", "length")
# Task on the corpus -> its scorer.
TASK_SCORERS = {TRANSCRIPTION: "wer", "respond": "meaning"}


@dataclass(frozen=True)
class QuestionSet:
    """Questions about speech, or texts, and how the answers are scored.

    `source` is the input of the evaluation that holds them: the corpus, or a benchmark.
    """

    name: str
    source: str
    scorer: str
    task: str | None = None  # none: what a benchmark asks itself
    split: str | None = None  # of the corpus
    slices: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    reading: Reading | None = None  # what is done with texts; none: there is speech to hear

    @property
    def identity(self) -> dict[str, Any]:
        """What of it changes a model's answers; its items come with the source."""
        asked = {"split": self.split, "task": self.task}
        return asked if self.reading is None else {**asked, "reading": self.reading}

    @property
    def label(self) -> str:
        """A name for files: `heldout.respond`, `spoken_choice`."""
        return ".".join(
            filter(None, (self.split or self.source.removeprefix(BENCHMARK), self.task))
        )

    def transcription(self) -> "QuestionSet":
        """The same speech, to be written down: what the ASR of a cascade is asked."""
        return QuestionSet(
            f"{TRANSCRIPTION}/{self._where}",
            self.source,
            "wer",
            TRANSCRIPTION,
            self.split,
            self.slices,
        )

    @property
    def _where(self) -> str:
        return self.split or self.source.removeprefix(BENCHMARK)


def question_sets(
    tasks_by_split: Mapping[str, Sequence[str]], inputs: Iterable[str]
) -> list[QuestionSet]:
    """The corpus's splits with their tasks, then the benchmarks among an evaluation's inputs."""
    corpus = [
        QuestionSet(f"{task}/{split}", CORPUS, TASK_SCORERS[task], task, split, _CORPUS_SLICES)
        for split, tasks in tasks_by_split.items()
        for task in tasks
    ]
    return [*corpus, *(_benchmark(name) for name in inputs if name.startswith(BENCHMARK))]


def _benchmark(source: str) -> QuestionSet:
    benchmark = BENCHMARKS[source.removeprefix(BENCHMARK)]
    return QuestionSet(
        benchmark.name,
        source,
        benchmark.scorer,
        slices=benchmark.slices,
        max_new_tokens=benchmark.max_new_tokens,
        reading=benchmark.reading,
    )
