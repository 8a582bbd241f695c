"""An item of a benchmark, and the table of them: Parquet parts with questions and audio."""

import hashlib
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from aura_core.artifacts import store
from aura_core.config.stage import MAX_CLIP_S
from aura_core.errors import AuraError
from aura_core.ingest.audio import BadAudioError, decode_file
from aura_core.ingest.source_item import Rejection, clean
from aura_core.ingest.utterances import MAX_PART_ROWS, encode_audio, shuffled

# One question of a benchmark: what is said, what is asked of it, what counts as right.

# In `extra`, true: nobody says what the answer should be, and the only reference is empty.
OPEN_ENDED = "open_ended"


@dataclass(frozen=True)
class BenchmarkItem:
    """One question, heard or read.

    Attributes:
        id: unique in its benchmark.
        text: what is said, the true transcript: what the text-in upper bound reads. What is
            read, where nothing is said.
        prompt_text: the written instruction after the audio; may be empty.
        references: accepted answers, at least one; the first is the one shown. One empty text
            where `extra` says that the question is `OPEN_ENDED`.
        audio: an audio file of any format soundfile reads; FLAC, 16 kHz, mono, 16 bit once it
            is in an item table. None where the text is read.
        choices: letter -> text of a multiple choice.
        extra: facts of the item: what it may be sliced by, and what its scorer reads; an item
            table adds `duration_s`.
        duration_s: of the audio; known once it is in an item table; 0 without audio.
    """

    id: str
    text: str
    prompt_text: str
    references: tuple[str, ...]
    audio: bytes | None
    choices: dict[str, str] | None = None
    extra: dict[str, JsonValue] = field(default_factory=dict)
    duration_s: float = 0.0


FOLDER = "items"
# The student has no positions beyond it, and Whisper would hear the beginning alone.
_MAX_PART_BYTES = 256 << 20

ITEM_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("prompt_text", pa.string(), nullable=False),
        pa.field("references", pa.list_(pa.string()), nullable=False),
        pa.field("choices", pa.string()),
        pa.field("extra", pa.string(), nullable=False),
    ]
)

Row = dict[str, Any]


@dataclass(frozen=True)
class WrittenItems:
    """What `write_items` has published.

    Attributes:
        files: paths relative to the artifact.
        num_items: rows in them.
        rejections: what was left out, by name and reason.
        sha256: over every row in its order, audio included; the same items give the same digest.
    """

    files: tuple[str, ...]
    num_items: int
    rejections: tuple[Rejection, ...]
    sha256: str


def part_path(number: int) -> str:
    """Path of a part, relative to the artifact."""
    return f"{FOLDER}/part-{number:05d}.parquet"


def write_items(uri: str, items: Iterable[BenchmarkItem | Rejection]) -> WrittenItems:
    """Publish the parts of a table, audio as FLAC at 16 kHz, mono, 16 bit.

    An item without a transcript or a reference, with audio that cannot be read or is longer than
    `MAX_CLIP_S`, or with an id that is taken, is rejected; rejections among the items are
    kept as they are.
    """
    rejections: list[Rejection] = []
    digest = hashlib.sha256()
    files: list[str] = []
    num_items = 0
    for rows in _parts(accepted_rows(items, rejections)):
        for row in rows:
            digest.update(_row_digest(row))
        files.append(_write_part(uri, len(files), rows))
        num_items += len(rows)
    if not files:
        files.append(_write_part(uri, 0, []))
    return WrittenItems(tuple(files), num_items, tuple(rejections), digest.hexdigest())


def accepted_rows(
    items: Iterable[BenchmarkItem | Rejection], rejections: list[Rejection]
) -> Iterator[Row]:
    """Yield the row of each good item, as `write_items` takes it; others go to `rejections`."""
    seen: set[str] = set()
    for item in items:
        checked = item if isinstance(item, Rejection) else _checked(item, seen)
        if isinstance(checked, Rejection):
            rejections.append(checked)
        else:
            seen.add(checked["id"])
            yield checked


def read_items(uri: str, max_items: int | None = None) -> list[BenchmarkItem]:
    """Read items in an order that does not follow the set: fewer are a fair sample.

    Raises:
        AuraError: if there is no table at `uri`.
    """
    chosen = shuffled(_read(uri, ["id"]))[:max_items]
    wanted = {row["id"] for row in chosen}
    rows = {row["id"]: row for row in _read(uri, ITEM_SCHEMA.names, wanted)}
    return [_item(rows[row["id"]]) for row in chosen]


def find_items(uri: str, ids: Collection[str]) -> list[BenchmarkItem]:
    """Read the items that have these ids, without the audio of the others; none for no ids.

    Raises:
        AuraError: if there is no table at `uri`.
    """
    return [_item(row) for row in _read(uri, ITEM_SCHEMA.names, set(ids))] if ids else []


def read_texts(uri: str) -> list[str]:
    """Everything that is said in a benchmark. Raises AuraError as `read_items` does."""
    return [str(row["text"]) for row in _read(uri, ["text"])]


def _checked(item: BenchmarkItem, seen: set[str]) -> Row | Rejection:
    def reject(kind: str, detail: str = "") -> Rejection:
        return Rejection(item.id, item.id, kind, detail)

    references = [text for each in item.references if (text := clean(each))]
    text = clean(item.text)
    if not item.id.strip():
        return reject("no id")
    if item.id in seen:
        return reject("duplicate id", "an item before it has the same id")
    if text is None:
        return reject("no transcript")
    if not references and item.extra.get(OPEN_ENDED) is not True:
        return reject("no reference", "there is no accepted answer")
    try:
        audio, duration_s = _stored_audio(item)
    except BadAudioError as error:
        return reject(error.kind, error.detail)
    return {
        "id": item.id,
        "audio": audio,
        "duration_s": duration_s,
        "text": text,
        "prompt_text": clean(item.prompt_text) or "",
        "references": references or [""],
        "choices": None if item.choices is None else _json(item.choices),
        "extra": _json(item.extra),
    }


def _stored_audio(item: BenchmarkItem) -> tuple[dict[str, Any], float]:
    """The audio column and the duration in seconds. Raises BadAudioError."""
    if item.audio is None:
        return {"bytes": b"", "path": None}, 0.0
    clip = decode_file(io.BytesIO(item.audio), MAX_CLIP_S)
    flac, _ = encode_audio(clip.audio)
    return {"bytes": flac, "path": f"{item.id}.flac"}, clip.duration_s


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Divide rows by their number and by the size of their audio."""
    part: list[Row] = []
    size_bytes = 0
    for row in rows:
        part.append(row)
        size_bytes += len(row["audio"]["bytes"])
        if len(part) == MAX_PART_ROWS or size_bytes >= _MAX_PART_BYTES:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part


def _write_part(uri: str, number: int, rows: Sequence[Row]) -> str:
    path = part_path(number)
    with store.staged(store.join(uri, path)) as target:
        table = pa.Table.from_pylist(list(rows), schema=ITEM_SCHEMA)
        # FLAC does not shrink further; small row groups keep readers' memory small.
        pq.write_table(table, target, compression="none", row_group_size=100)
    return path


def _row_digest(row: Row) -> bytes:
    audio = hashlib.sha256(row["audio"]["bytes"]).hexdigest()
    described = {**row, "audio": audio}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).digest()


def _read(uri: str, columns: Sequence[str], ids: set[str] | None = None) -> list[Row]:
    folder = store.join(uri, FOLDER)
    names = [name for name in store.list_names(folder) if name.endswith(".parquet")]
    if not names:
        raise AuraError(f"{uri} holds no benchmark items: run the benchmark stage first")
    fs, root = store.filesystem(folder)
    filters = None if ids is None else [("id", "in", ids)]
    rows: list[Row] = []
    for name in names:
        # A part is read whole: `partitioning` would make columns of folders named `a=b`.
        table = pq.read_table(
            f"{root}/{name}",
            filesystem=fs,
            columns=list(columns),
            filters=filters if ids else None,
            partitioning=None,
        )
        rows.extend(table.to_pylist())
    return rows


def _item(row: Row) -> BenchmarkItem:
    return BenchmarkItem(
        id=row["id"],
        text=row["text"],
        prompt_text=row["prompt_text"],
        references=tuple(row["references"]),
        audio=row["audio"]["bytes"] or None,
        choices=None if row["choices"] is None else json.loads(row["choices"]),
        # Results are cut by length, too.
        extra={**json.loads(row["extra"]), "duration_s": row["duration_s"]},
        duration_s=row["duration_s"],
    )
