"""Differences between a reference and a model's output, for the eye."""

from typing import NamedTuple

import jiwer

from aura_core.evaluation.wer import normalise

_EDGE_PUNCTUATION = ".,;:!?\"'()[]"


class Difference(NamedTuple):
    """A run of words or a slot: `kind` is equal, substitute, delete or insert."""

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


def compare_meanings(reference: str, output: str) -> list[Difference]:
    """Compare two meanings (`intent; slot=value; ...`) by slot, in the reference's order.

    The order of the slots does not count, and values are compared as in the score.
    """
    intent, expected = _read_slots(reference)
    said_intent, actual = _read_slots(output)
    differences = [_compare(intent, said_intent, _same(intent, said_intent))]
    for name, part in expected.items():
        said = actual.pop(name, "")
        differences.append(_compare(part, said, _same(_value(part), _value(said))))
    return differences + [Difference("insert", "", part) for part in actual.values()]


def _read_slots(text: str) -> tuple[str, dict[str, str]]:
    """The intent, and each slot's part as written by the slot's name."""
    intent, *parts = (part.strip() for part in text.split(";"))
    return intent, {part.partition("=")[0].strip().casefold(): part for part in parts if part}


def _value(part: str) -> str:
    return part.partition("=")[2]


def _same(reference: str, output: str) -> bool:
    return normalise(reference) == normalise(output)


def _compare(reference: str, output: str, same: bool) -> Difference:
    if not output:
        return Difference("delete", reference, "")
    return Difference("equal" if same else "substitute", reference, output)


def _keys(words: list[str]) -> str:
    # A word of punctuation alone keeps it: an empty key would shift the alignment.
    return " ".join(word.casefold().strip(_EDGE_PUNCTUATION) or word for word in words)
