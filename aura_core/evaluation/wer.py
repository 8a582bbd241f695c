"""Word errors after Whisper's English normaliser."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jiwer
import numpy as np
from whisper.normalizers import EnglishTextNormalizer

from aura_core.evaluation.bootstrap import Floats


class Edit(NamedTuple):
    """A stretch of aligned words: `kind` is equal, substitute, delete or insert."""

    kind: str
    reference: str
    prediction: str


def normalise(text: str) -> str:
    """Lower case, no punctuation, numbers in digits, American spelling."""
    return str(_normaliser()(text)).strip()


def count_errors(references: Sequence[str], predictions: Sequence[str]) -> tuple[Floats, Floats]:
    """Count word errors and reference words per utterance, both float64 [utterances].

    The corpus WER is the ratio of their sums.
    """
    errors, words = [], []
    for reference, prediction in zip(references, predictions, strict=True):
        edits = _edits(normalise(reference).split(), normalise(prediction).split())
        errors.append(sum(max(len(r), len(p)) for kind, r, p in edits if kind != "equal"))
        words.append(sum(len(r) for _, r, _ in edits))
    return np.array(errors, dtype=np.float64), np.array(words, dtype=np.float64)


def align(reference: str, prediction: str) -> list[Edit]:
    """Align two texts, word by word after normalisation."""
    edits = _edits(normalise(reference).split(), normalise(prediction).split())
    return [Edit(kind, " ".join(r), " ".join(p)) for kind, r, p in edits]


def _edits(reference: list[str], prediction: list[str]) -> list[tuple[str, list[str], list[str]]]:
    if not reference or not prediction:
        kind = "delete" if reference else "insert"
        return [(kind, reference, prediction)] if reference or prediction else []
    chunks = jiwer.process_words(" ".join(reference), " ".join(prediction)).alignments[0]
    return [
        (
            str(chunk.type),
            reference[chunk.ref_start_idx : chunk.ref_end_idx],
            prediction[chunk.hyp_start_idx : chunk.hyp_end_idx],
        )
        for chunk in chunks
    ]


@lru_cache(maxsize=1)
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()
