"""Which utterances go into which shard, fixed before any work starts."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import xxhash
from pydantic import BaseModel, ConfigDict

from aura_core.errors import AuraError

NAME = "plan.json"
# Utterances are sorted by length inside a window of the table, so that a shard
# holds clips of one length and its worker still reads few parts of the table.
WINDOW_UTTERANCES = 2048


class Candidate(NamedTuple):
    """An utterance as the plan sees it; `part` is the file of the table that holds it."""

    id: str
    duration_s: float
    part: str


class ShardPlan(BaseModel):
    """One shard: its utterances in order, shortest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    parts: tuple[str, ...]
    ids: tuple[str, ...]
    duration_s: float


class Plan(BaseModel):
    """The whole cache. The same table gives the same plan, whatever runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 1
    shards: tuple[ShardPlan, ...]


def make_plan(candidates: Sequence[Candidate], shard_utterances: int) -> Plan:
    """Cut the table into shards of at most `shard_utterances` clips of similar length.

    Raises:
        AuraError: if there is nothing to plan or an id occurs twice.
    """
    if not candidates:
        raise AuraError("no utterance to encode: check teacher_cache.splits against the corpus")
    if len({safe_key(candidate.id) for candidate in candidates}) != len(candidates):
        raise AuraError("the utterance table holds an id twice: ids must be unique")
    groups: list[list[Candidate]] = []
    for start in range(0, len(candidates), WINDOW_UTTERANCES):
        window = sorted(
            candidates[start : start + WINDOW_UTTERANCES], key=lambda c: (c.duration_s, c.id)
        )
        groups += [
            window[i : i + shard_utterances] for i in range(0, len(window), shard_utterances)
        ]
    return Plan(
        shards=tuple(
            ShardPlan(
                name=f"{number:05d}",
                parts=tuple(sorted({candidate.part for candidate in group})),
                ids=tuple(candidate.id for candidate in group),
                duration_s=sum(candidate.duration_s for candidate in group),
            )
            for number, group in enumerate(groups)
        )
    )


def safe_key(utterance_id: str) -> str:
    """Return the id as a member name: ASCII, no dots or slashes, at most 90 characters.

    An id that has to be changed gets a hash of itself appended, so keys stay unique.
    """
    cleaned = re.sub(r"[^A-Za-z0-9_-]", "_", utterance_id)[:72]
    if cleaned == utterance_id:
        return cleaned
    return f"{cleaned}-{xxhash.xxh3_64_hexdigest(utterance_id.encode())}"
