"""What is asked in an evaluation: utterances of a split with the question of a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aura_core.corpus.table import decode_audio, read_table, shuffled
from aura_core.errors import AuraError
from aura_core.instructions import TRANSCRIBE


@dataclass(frozen=True)
class Item:
    """One question about one utterance, with the right answer."""

    id: str
    instruction: str
    reference: str
    text: str
    duration_s: float
    flac: bytes
    transcript: str | None = None  # the ASR's, where it is known

    @cached_property
    def audio(self) -> NDArray[np.float32]:
        """Samples at 16 kHz."""
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


def load_items(ingest_uri: str, split: str, task: str, max_items: int | None) -> list[Item]:
    """Items of a split, in an order that does not follow the corpus: fewer are a fair sample."""
    rows = read_table(ingest_uri, splits=[split]).to_pylist()
    if task == "respond":
        rows = [row for row in rows if row["response"] is not None]
    return [
        Item(
            id=row["id"],
            instruction=TRANSCRIBE if task == "transcribe" else row["instruction"],
            reference=row["text"] if task == "transcribe" else row["response"],
            text=row["text"],
            duration_s=row["duration_s"],
            flac=row["audio"]["bytes"],
        )
        for row in shuffled(rows)[:max_items]
    ]


def with_transcripts(items: Sequence[Item], transcripts: dict[str, str]) -> list[Item]:
    """Attach the ASR's transcripts, keyed by utterance id."""
    return [replace(item, transcript=transcripts[item.id]) for item in items]
