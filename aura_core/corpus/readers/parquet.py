"""Parquet with an `audio` column of {bytes, path}, as Hugging Face datasets store speech.

Beside it any of `text` (or `transcription`), `instruction`, `response`, `id`,
`speaker`, `split`. One file or a folder of them; audio is read a row group at a
time, when its rows are decoded.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aura_core.artifacts import store
from aura_core.corpus.source_item import Rejection, SourceItem, clean, id_from_path
from aura_core.errors import AuraError

_COLUMNS = ("id", "text", "transcription", "instruction", "response", "speaker", "split")


def matches(uri: str) -> bool:
    """Whether `uri` is a Parquet file or a folder with one in it."""
    return bool(_file_uris(uri))


def read(uri: str) -> Iterator[SourceItem | Rejection]:
    """Yield the rows of every file; only their text columns are read."""
    for file_uri in _file_uris(uri):
        name = file_uri.rpartition("/")[2]
        with _opened(file_uri) as file:
            names = set(file.schema_arrow.names)
            if "audio" not in names:
                raise AuraError(f"{file_uri} has no column audio {{bytes, path}}")
            columns = [column for column in _COLUMNS if column in names]
            columns += [f"audio.{field.name}" for field in file.schema_arrow.field("audio").type
                        if field.name == "path"]  # fmt: skip
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                yield from _items(table, file_uri, name, group)


def read_audio(file_uri: str, row: tuple[int, int]) -> bytes | None:
    """Return the audio file inside a row; None if the row only names a path."""
    group, index = row
    data = _audio_column(file_uri, group)[index].as_py() or {}
    content: bytes | None = data.get("bytes")
    return content


def _items(table: pa.Table, file_uri: str, name: str, group: int) -> Iterator[SourceItem]:
    rows: list[dict[str, Any]] = table.to_pylist()
    for index, row in enumerate(rows):
        path = clean((row.get("audio") or {}).get("path"))
        fallback = id_from_path(path) if path else f"{id_from_path(name)}-{group}-{index}"
        yield SourceItem(
            id=clean(row.get("id")) or fallback,
            audio_uri=file_uri,
            text=clean(row.get("text")) or clean(row.get("transcription")),
            instruction=clean(row.get("instruction")),
            response=clean(row.get("response")),
            speaker=clean(row.get("speaker")),
            split=clean(row.get("split")),
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
    return [store.join(uri, name) for name in store.list_names(uri) if name.endswith(".parquet")]
