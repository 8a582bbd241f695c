"""The answers a student learns from, as Parquet parts beside the teacher cache."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.instructions import TRANSCRIBE

# What an utterance is asked, in training and by the text LLM: one list for both.


class Question(NamedTuple):
    """A kind of answer, the instruction after the speech, and the answer; None: there is none."""

    kind: str
    instruction: str
    response: str | None


def questions(
    text: str, instruction: str | None, response: str | None, own: Question | None
) -> list[Question]:
    """List the questions of an utterance; `own` is that of the text LLM's own answer, if any."""
    asked = [Question("transcript", TRANSCRIBE, text)]
    if response is not None:
        asked.append(Question("response", instruction or "", response))
    return [*asked, own] if own is not None else asked


SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        # Null: the LLM did not come to an end.
        pa.field("response", pa.string()),
        # Flat, [tokens, top_k] each; empty where no logits are kept.
        pa.field("top_ids", pa.list_(pa.int32()), nullable=False),
        pa.field("top_logprobs", pa.list_(pa.float32()), nullable=False),
    ]
)


@dataclass(frozen=True)
class Target:
    """One answer to one utterance; its end token is one of its tokens."""

    kind: str
    response: str
    top_ids: Tensor  # int64 [tokens, top_k]
    top_logprobs: Tensor  # float32 [tokens, top_k]


def part_name(number: int) -> str:
    """File of a part."""
    return f"targets-{number:05d}.parquet"


def write_part(uri: str, number: int, rows: Iterable[Mapping[str, Any]]) -> None:
    """Publish one part at once; rows of an utterance stand together."""
    table = pa.Table.from_pylist(list(rows), SCHEMA)
    with store.staged(store.join(uri, part_name(number))) as path:
        pq.write_table(table, path, compression="zstd")


class Targets:
    """A finished artifact, opened: the answers of an utterance by its key."""

    def __init__(self, table: pa.Table, *, top_k: int, instruction: str) -> None:
        self.top_k = top_k
        self.instruction = instruction
        self._table = table
        keys = table["key"].to_pylist()
        starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
        ends = [*starts[1:], len(keys)]
        self._spans = {keys[i]: (i, end) for i, end in zip(starts, ends, strict=True)}

    def of(self, key: str) -> list[Target]:
        """The answers of an utterance that came to an end."""
        start, end = self._spans[key]
        rows = self._table.slice(start, end - start).to_pylist()
        return [self._target(row) for row in rows if row["response"] is not None]

    def _target(self, row: Mapping[str, Any]) -> Target:
        ids, logprobs = (torch.tensor(row[name]) for name in ("top_ids", "top_logprobs"))
        shape = (-1, self.top_k) if self.top_k else (0, 0)
        return Target(
            row["kind"], row["response"], ids.long().view(shape), logprobs.float().view(shape)
        )


def open_targets(uri: str) -> Targets:
    """Open a finished artifact.

    Raises:
        AuraError: if it is not finished.
    """
    manifest = require_manifest(uri)
    names = [entry.path for entry in manifest.files if entry.path.endswith(".parquet")]
    tables = [pq.read_table(pa.BufferReader(store.read_bytes(store.join(uri, n)))) for n in names]
    made = manifest.identity
    return Targets(pa.concat_tables(tables), top_k=made["top_k"], instruction=made["instruction"])
