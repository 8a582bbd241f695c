"""Parquet with an `audio` column of {bytes, path}, as Hugging Face datasets store speech.

Beside it any of `text` (`transcription`, `sentence`, `transcript`, ...), `instruction`,
`response`, `id`, `speaker`, `split`. One file or a folder of them; where no column says it, the
names of files and folders tell the split, as on the hub: `test-00000-of-00002.parquet`,
`default/test/0000.parquet`. Audio is read a row group at a time, when its rows are decoded.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import (
    Rejection,
    SourceItem,
    clean,
    id_from_path,
    item_of,
    split_of_path,
    split_of_shard,
    wanted_columns,
)


def matches(uri: str) -> bool:
    """Whether `uri` is a Parquet file or a folder with one in it."""
    return bool(_file_uris(uri))


def read(uri: str, columns: Mapping[str, str]) -> Iterator[SourceItem | Rejection]:
    """Yield the rows of every file; only their text columns are read."""
    audio = audio_column(columns)
    for file_uri in _file_uris(uri):
        path = file_uri.removeprefix(uri).lstrip("/") or file_uri.rpartition("/")[2]
        # The name of the one file that a user names need not be meant so, but a shard's is.
        split = split_of_shard(path) if file_uri == uri else split_of_path(path)
        with open_parquet(file_uri) as file:
            wanted = _columns(file.schema_arrow, file_uri, audio, columns)
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=wanted).to_pylist()
                for index, row in enumerate(rows):
                    numbered = f"{id_from_path(path)}-{group}-{index}"
                    clip = clean((row.get(audio) or {}).get("path"))
                    try:
                        yield item_of(
                            row,
                            columns,
                            audio_uri=file_uri,
                            own_id=id_from_path(clip) if clip else numbered,
                            split=split,
                            parquet_row=(group, index),
                        )
                    except ValueError as error:
                        detail = f"row {index} of group {group} {error}"
                        yield Rejection(numbered, file_uri, "bad line", detail)


def audio_column(columns: Mapping[str, str]) -> str:
    """The column that holds the audio."""
    return columns.get("audio", "audio")


def read_audio(
    file_uri: str, row: tuple[int, int], column: str = "audio"
) -> tuple[bytes | None, str]:
    """Return the audio file inside a row, None if the row only names a path, and that path."""
    group, index = row
    data = _audio_column(file_uri, group, column)[index].as_py() or {}
    content: bytes | None = data.get("bytes")
    return content, clean(data.get("path")) or ""


def _columns(schema: pa.Schema, file_uri: str, audio: str, columns: Mapping[str, str]) -> list[str]:
    """The columns to plan with: all that are known but the audio's bytes."""
    kind = schema.field(audio).type if audio in schema.names else pa.null()
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise AuraError(f"{file_uri} has no column {audio} {{bytes, path}}")
    for name in columns.values():
        if name not in schema.names:
            raise AuraError(
                f"{file_uri} has no column {name}, which ingest.columns names, only "
                f"{', '.join(schema.names)}"
            )
    known = [name for names in wanted_columns(columns).values() for name in names]
    found = [name for name in known if name in schema.names]
    return [*found, f"{audio}.path"] if kind.get_field_index("path") >= 0 else found


# Rows come in order, so the row group just read is the one that is needed again.
@lru_cache(maxsize=1)
def _audio_column(file_uri: str, group: int, column: str) -> pa.ChunkedArray:
    with open_parquet(file_uri) as file:
        return file.read_row_group(group, columns=[column])[column]


def open_parquet(file_uri: str) -> pq.ParquetFile:
    """Raise AuraError if it is another kind of file."""
    fs, path = store.filesystem(file_uri)
    try:
        return pq.ParquetFile(path, filesystem=fs)
    except pa.ArrowInvalid as error:
        raise AuraError(f"{file_uri} is not a Parquet file ({error})") from error


def _file_uris(uri: str) -> list[str]:
    if uri.endswith(".parquet"):
        return [uri]
    fs, root = store.filesystem(uri)
    names = sorted(
        name
        for name in fs.find(root)
        # The table of an audio folder beside it holds no audio.
        if name.endswith(".parquet") and not name.endswith("/metadata.parquet")
    )
    return [store.join(uri, name.removeprefix(root).lstrip("/")) for name in names]
