"""Parquet with an `audio` column of {bytes, path}, as Hugging Face datasets store speech.

Beside it any of `text` (or `transcription`, `sentence`), `instruction`, `response`,
`id`, `speaker`, `split`. One file or a folder of them; where no column says it, a
file `test-00000-of-00002.parquet` is split `test`. Audio is read a row group at a
time, when its rows are decoded.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import (
    TEXT_FIELDS,
    Rejection,
    SourceItem,
    clean,
    id_from_path,
    transcript,
)

_COLUMNS = (*TEXT_FIELDS, "id", "instruction", "response", "speaker", "split")
_SHARD_NAME = re.compile(r"(.+)-\d+-of-\d+\.parquet")


def matches(uri: str) -> bool:
    """Whether `uri` is a Parquet file or a folder with one in it."""
    return bool(_file_uris(uri))


def read(uri: str) -> Iterator[SourceItem | Rejection]:
    """Yield the rows of every file; only their text columns are read."""
    for file_uri in _file_uris(uri):
        name = file_uri.rpartition("/")[2]
        with _opened(file_uri) as file:
            columns = _columns(file.schema_arrow, file_uri)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                yield from _items(table, file_uri, name, group)


def read_audio(file_uri: str, row: tuple[int, int]) -> bytes | None:
    """Return the audio file inside a row; None if the row only names a path."""
    group, index = row
    data = _audio_column(file_uri, group)[index].as_py() or {}
    content: bytes | None = data.get("bytes")
    return content


def _columns(schema: pa.Schema, file_uri: str) -> list[str]:
    """The columns to plan with: all that are known but the audio's bytes."""
    audio = schema.field("audio").type if "audio" in schema.names else pa.null()
    if not pa.types.is_struct(audio) or audio.get_field_index("bytes") < 0:
        raise AuraError(f"{file_uri} has no column audio {{bytes, path}}")
    columns = [column for column in _COLUMNS if column in schema.names]
    return [*columns, "audio.path"] if audio.get_field_index("path") >= 0 else columns


def _items(table: pa.Table, file_uri: str, name: str, group: int) -> Iterator[SourceItem]:
    rows: list[dict[str, Any]] = table.to_pylist()
    shard = _SHARD_NAME.fullmatch(name)
    for index, row in enumerate(rows):
        path = clean((row.get("audio") or {}).get("path"))
        fallback = id_from_path(path) if path else f"{id_from_path(name)}-{group}-{index}"
        yield SourceItem(
            id=clean(row.get("id")) or fallback,
            audio_uri=file_uri,
            text=transcript(row),
            instruction=clean(row.get("instruction")),
            response=clean(row.get("response")),
            speaker=clean(row.get("speaker")),
            split=clean(row.get("split")) or (shard.group(1) if shard else None),
            parquet_row=(group, index),
        )


# Rows come in order, so the row group just read is the one that is needed again.
@lru_cache(maxsize=1)
def _audio_column(file_uri: str, group: int) -> pa.ChunkedArray:
    with _opened(file_uri) as file:
        return file.read_row_group(group, columns=["audio"])["audio"]


def _opened(file_uri: str) -> pq.ParquetFile:
    fs, path = store.filesystem(file_uri)
    try:
        return pq.ParquetFile(path, filesystem=fs)
    except pa.ArrowInvalid as error:
        raise AuraError(f"{file_uri} is not a Parquet file ({error})") from error


def _file_uris(uri: str) -> list[str]:
    if uri.endswith(".parquet"):
        return [uri]
    fs, root = store.filesystem(uri)
    names = sorted(name for name in fs.find(root) if name.endswith(".parquet"))
    return [store.join(uri, name.removeprefix(root).lstrip("/")) for name in names]
