"""Slices of a benchmark: the utterances that share a value, such as `snr_db=10`."""

import math
from collections.abc import Sequence

from pydantic import JsonValue

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction

# The key that stands for `duration_s`, in ranges.
LENGTH = "length"
_UNKNOWN = "unknown"
_LENGTHS_S = ((2.0, "<2 s"), (5.0, "2-5 s"), (15.0, "5-15 s"))
_LONGEST = ">15 s"


def positions(predictions: Sequence[Prediction], key: str) -> dict[str, list[int]]:
    """Group utterances by what they say of a key in `extra`.

    Args:
        predictions: of one benchmark.
        key: a key of `extra` with plain values, or `length` for ranges of `duration_s`.

    Returns:
        `key=value` -> positions in `predictions`, numbers in their order. Those that do not
        say stand under `key=unknown`; nothing at all if none says.

    Raises:
        AuraError: if a value is a list or an object.
    """
    values = [_value(prediction, key) for prediction in predictions]
    if all(value is None for value in values):
        return {}
    grouped: dict[str, list[int]] = {}
    for position in sorted(range(len(values)), key=lambda i: _rank(values[i])):
        grouped.setdefault(f"{key}={_title(key, values[position])}", []).append(position)
    return {title: sorted(found) for title, found in grouped.items()}


def _value(prediction: Prediction, key: str) -> JsonValue:
    value = prediction.extra.get("duration_s" if key == LENGTH else key)
    if isinstance(value, list | dict):
        raise AuraError(f"cannot slice by {key!r}: {prediction.id} has more than one value of it")
    if key == LENGTH and value is not None and not _is_duration(value):
        raise AuraError(f"cannot slice by length: {prediction.id} has the duration_s {value!r}")
    return value


def _is_duration(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _title(key: str, value: JsonValue) -> str:
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    if key != LENGTH:
        return f"{value:g}"
    # 15 s sharp belong to the range that names them last.
    if value > _LENGTHS_S[-1][0]:
        return _LONGEST
    return next((title for bound, title in _LENGTHS_S if value < bound), _LENGTHS_S[-1][1])


def _rank(value: JsonValue) -> tuple[int, float, str]:
    """Numbers by size, then texts, then what is unknown."""
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, str(value))
