"""The utterance table: Parquet parts that hold text, metadata and the audio itself."""

import io
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import xxhash

from aura_core.artifacts import store
from aura_core.errors import AuraError

SAMPLE_RATE = 16_000
MAX_PART_ROWS = 1000
# The folder of the parts, below the artifact.
UTTERANCES = "utterances"
# Ids that are keys as they are, and what is kept of the others before their hash.
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,72}")
_KEPT = 71

# What an utterance is without its audio, here and in the index of a teacher cache.
DESCRIPTION_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("instruction", pa.string()),
        pa.field("response", pa.string()),
        pa.field("speaker", pa.string()),
        pa.field("split", pa.string(), nullable=False),
        pa.field("family", pa.string()),
        pa.field("duration_s", pa.float64(), nullable=False),
    ]
)
UTTERANCE_SCHEMA = pa.schema(
    [
        *DESCRIPTION_SCHEMA,
        pa.field("source_sample_rate", pa.int32(), nullable=False),
        pa.field("avg_logprob", pa.float64()),
        pa.field("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("digest", pa.string(), nullable=False),
    ]
)


class Audio(TypedDict):
    """FLAC bytes (16 kHz, mono, 16 bit) and a file name for those who unpack them."""

    bytes: bytes
    path: str


class Utterance(TypedDict):
    """One row."""

    id: str
    text: str
    instruction: str | None
    response: str | None
    speaker: str | None
    split: str
    family: str | None
    duration_s: float
    source_sample_rate: int
    avg_logprob: float | None
    audio: Audio
    digest: str


def part_path(number: int) -> str:
    """Path of a part, relative to the artifact."""
    return f"{UTTERANCES}/part-{number:05d}.parquet"


def write_part(uri: str, number: int, rows: Sequence[Utterance]) -> str:
    """Publish one part of the table; returns its path relative to `uri`."""
    if len(rows) > MAX_PART_ROWS:
        raise ValueError(f"a part holds at most {MAX_PART_ROWS} rows, not {len(rows)}")
    table = pa.Table.from_pylist(list(rows), schema=UTTERANCE_SCHEMA)
    path = part_path(number)
    with store.staged(store.join(uri, path)) as target:
        # FLAC does not shrink further; small row groups keep readers' memory small.
        pq.write_table(table, target, compression="none", row_group_size=100)
    return path


def write_table(uri: str, rows: Iterable[Utterance]) -> list[str]:
    """Publish a whole table; returns the parts' paths relative to `uri`."""
    remaining = iter(rows)
    paths = [write_part(uri, 0, list(islice(remaining, MAX_PART_ROWS)))]
    while part := list(islice(remaining, MAX_PART_ROWS)):
        paths.append(write_part(uri, len(paths), part))
    return paths


def read_table(
    uri: str, columns: Sequence[str] | None = None, splits: Sequence[str] | None = None
) -> pa.Table:
    """Read the table of an ingest artifact, rows in the order of ingestion.

    Leave `audio` out of `columns` and no audio is read.

    Raises:
        AuraError: if there is no table at `uri`.
    """
    folder = store.join(uri, UTTERANCES)
    names = [name for name in store.list_names(folder) if name.endswith(".parquet")]
    if not names:
        raise AuraError(f"{uri} holds no utterance table: run the ingest stage first")
    fs, root = store.filesystem(folder)
    filters = None if splits is None else [("split", "in", list(splits))]
    tables = [
        pq.read_table(
            f"{root}/{name}",
            filesystem=fs,
            columns=None if columns is None else list(columns),
            filters=filters,
            partitioning=None,
        )
        for name in names
    ]
    return pa.concat_tables(tables)


def shuffled(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put rows in an order that does not follow the corpus: the first ones are a fair sample."""
    return sorted(rows, key=lambda row: store.xxh3(row["id"].encode()))


def encode_audio(audio: np.ndarray) -> tuple[bytes, str]:
    """FLAC bytes and the digest of the PCM.

    Args:
        audio: float32 [samples], 16 kHz; what is outside [-1, 1] is clipped.

    Returns:
        The FLAC file, and the XXH3-128 hex digest of the int16 samples.
    """
    pcm = np.round(np.clip(audio, -1, 1) * 32767).astype("<i2")
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue(), store.xxh3(pcm.tobytes())


def decode_audio(flac_bytes: bytes) -> np.ndarray:
    """Decode a row's audio to float32 [samples] at 16 kHz."""
    audio, _ = soundfile.read(io.BytesIO(flac_bytes), dtype="float32")
    return np.asarray(audio)


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
