"""Word differences between a reference and a model's output, for the eye."""

from typing import NamedTuple

import jiwer

_EDGE_PUNCTUATION = ".,;:!?\"'()[]"


class Difference(NamedTuple):
    """A run of words: `kind` is equal, substitute, delete or insert."""

    kind: str
    reference: str
    output: str


def compare_words(reference: str, output: str) -> list[Difference]:
    """Align two texts word by word; case and punctuation at a word's edges do not count.

    Words are shown as they were written, unlike in the WER, which normalises them.
    """
    expected, actual = reference.split(), output.split()
    if not expected or not actual:
        kind = "delete" if expected else "insert"
        return [Difference(kind, reference, output)] if expected or actual else []
    alignment = jiwer.process_words(_keys(expected), _keys(actual)).alignments[0]
    return [
        Difference(
            str(chunk.type),
            " ".join(expected[chunk.ref_start_idx : chunk.ref_end_idx]),
            " ".join(actual[chunk.hyp_start_idx : chunk.hyp_end_idx]),
        )
        for chunk in alignment
    ]


def _keys(words: list[str]) -> str:
    # A word of punctuation alone keeps it: an empty key would shift the alignment.
    return " ".join(word.casefold().strip(_EDGE_PUNCTUATION) or word for word in words)
