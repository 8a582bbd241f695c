"""Which rows of the utterance table go into which shard, fixed before any work starts."""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from aura_core.cache.record import SHARD_DIGITS
from aura_core.errors import AuraError

NAME = "plan.json"
# Ids that are keys as they are, and what is kept of the others before their hash.
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,72}")
_KEPT = 71


class Part(BaseModel):
    """A file of the utterance table as the plan sees it; rows of other splits are not wanted."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    name: str
    duration_s: NDArray[np.float64]
    wanted: NDArray[np.bool_]


class Slice(BaseModel):
    """Rows `start` to `stop` of a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    part: str
    start: int
    stop: int


class ShardPlan(BaseModel):
    """One shard: the wanted rows of some slices of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    slices: tuple[Slice, ...]
    utterances: int
    duration_s: float


class Plan(BaseModel):
    """The whole cache. The same table gives the same plan, whatever runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 2
    shards: tuple[ShardPlan, ...]


def make_plan(parts: Iterable[Part], shard_utterances: int) -> Plan:
    """Cut the table into shards of at most `shard_utterances` successive clips.

    Successive, so that a shard's worker reads little that it does not need; clips are
    put into batches by length inside the shard.

    Raises:
        AuraError: if there is nothing to plan.
    """
    listed = list(parts)
    rows = [np.flatnonzero(part.wanted) for part in listed]
    total = sum(map(len, rows))
    if total == 0:
        raise AuraError("no utterance to encode: check teacher_cache.splits against the corpus")
    numbers = np.repeat(np.arange(len(listed)), [len(chosen) for chosen in rows])
    durations_s = np.concatenate(
        [part.duration_s[chosen] for part, chosen in zip(listed, rows, strict=True)]
    )
    every_row = np.concatenate(rows)
    # Even pieces: no worker is left with a shard of three clips at the end.
    pieces = np.array_split(np.arange(total), -(-total // shard_utterances))
    return Plan(
        shards=tuple(
            ShardPlan(
                name=f"{number:0{SHARD_DIGITS}d}",
                slices=tuple(_slices(listed, numbers[piece], every_row[piece])),
                utterances=len(piece),
                duration_s=float(durations_s[piece].sum()),
            )
            for number, piece in enumerate(pieces)
        )
    )


def _slices(
    parts: Sequence[Part], numbers: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[Slice]:
    for number in np.unique(numbers):
        chosen = rows[numbers == number]
        yield Slice(part=parts[number].name, start=int(chosen[0]), stop=int(chosen[-1]) + 1)


def safe_key(utterance_id: str) -> str:
    """Return the id as a member name: ASCII, no dots or slashes, 1 to 88 characters.

    With the longest suffix, `.safetensors`, a name has so the 100 characters that a tar's header
    has room for. An id that has to be changed gets a hash of itself appended. Ids that still
    share a key are refused when they are ingested.
    """
    if _SAFE.fullmatch(utterance_id):
        return utterance_id
    cleaned = re.sub(r"[^A-Za-z0-9_-]", "_", utterance_id)[:_KEPT]
    return f"{cleaned}-{xxhash.xxh3_64_hexdigest(utterance_id.encode())}"
