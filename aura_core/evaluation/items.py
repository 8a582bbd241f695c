"""What is asked in an evaluation: sets of questions, and their clips or texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aura_core.benchmarks import item as benchmark_items
from aura_core.config.benchmarks import BENCHMARKS, TextTask
from aura_core.config.instructions import TRANSCRIBE
from aura_core.errors import AuraError
from aura_core.ingest.utterances import decode_audio, read_table, shuffled

# What is scored together: a task on a split of the corpus, or a benchmark.

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
    text_task: TextTask | None = None  # what is done with texts; none: there is speech to hear

    @property
    def identity(self) -> dict[str, Any]:
        """What of it changes a model's answers; its items come with the source."""
        asked = {"split": self.split, "task": self.task}
        return asked if self.text_task is None else {**asked, "reading": self.text_task}

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
        text_task=benchmark.text_task,
    )


# What a corpus knows of an utterance that results are cut by.
_FACTS = ("family",)


@dataclass(frozen=True)
class Item:
    """One question about one utterance or text, with the answers that are right."""

    id: str
    instruction: str
    references: tuple[str, ...]
    text: str
    duration_s: float
    flac: bytes | None  # none: it is read
    transcript: str | None = None  # the ASR's, where it is known
    choices: dict[str, str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def audio(self) -> NDArray[np.float32]:
        """Samples at 16 kHz."""
        assert self.flac is not None, "a text has no sound"
        return decode_audio(self.flac)


def tasks_by_split(ingest_uri: str, splits: Sequence[str] | None) -> dict[str, list[str]]:
    """The tasks each split has data for; `splits` None means all but train.

    Raises:
        AuraError: for a split that is not in the corpus, or if none is left.
    """
    table = read_table(ingest_uri, columns=["split", "response"])
    answered: dict[str, bool] = {}
    for row in table.to_pylist():
        answered[row["split"]] = answered.get(row["split"], False) or row["response"] is not None
    found = ", ".join(sorted(answered))
    chosen = [s for s in answered if s != "train"] if splits is None else list(splits)
    if missing := [split for split in chosen if split not in answered]:
        raise AuraError(f"evaluate.splits: no split {missing[0]!r} in the corpus, only {found}")
    if not chosen:
        raise AuraError(f"nothing to evaluate on: the corpus has only the splits {found}")
    return {s: ["transcribe", *(["respond"] if answered[s] else [])] for s in sorted(chosen)}


def load_items(uri: str, questions: QuestionSet, max_items: int | None) -> list[Item]:
    """Items of a set, in an order that does not follow the source: fewer are a fair sample."""
    if questions.split is None:
        return _benchmark_items(uri, questions.task, max_items)
    return _corpus_items(uri, questions.split, questions.task, max_items)


def texts(uri: str, source: str) -> list[str]:
    """Everything that is said in the corpus, or in a benchmark."""
    if source != CORPUS:
        return benchmark_items.read_texts(uri)
    return [str(text) for text in read_table(uri, columns=["text"]).column("text").to_pylist()]


def _corpus_items(uri: str, split: str, task: str | None, max_items: int | None) -> list[Item]:
    rows = read_table(uri, splits=[split]).to_pylist()
    if task != TRANSCRIPTION:
        rows = [row for row in rows if row["response"] is not None]
    return [
        Item(
            id=row["id"],
            instruction=TRANSCRIBE if task == TRANSCRIPTION else row["instruction"],
            references=(row["text"] if task == TRANSCRIPTION else row["response"],),
            text=row["text"],
            duration_s=row["duration_s"],
            flac=row["audio"]["bytes"],
            extra={key: row[key] for key in _FACTS if row[key] is not None},
        )
        for row in shuffled(rows)[:max_items]
    ]


def _benchmark_items(uri: str, task: str | None, max_items: int | None) -> list[Item]:
    transcribes = task == TRANSCRIPTION
    return [
        Item(
            id=item.id,
            instruction=TRANSCRIBE if transcribes else item.prompt_text,
            references=(item.text,) if transcribes else item.references,
            text=item.text,
            duration_s=item.duration_s,
            flac=item.audio,
            choices=None if transcribes else item.choices,
            extra=item.extra,
        )
        for item in benchmark_items.read_items(uri, max_items)
    ]


def with_transcripts(items: Sequence[Item], transcripts: dict[str, str]) -> list[Item]:
    """Attach the ASR's transcripts, keyed by utterance id."""
    return [replace(item, transcript=transcripts[item.id]) for item in items]
