"""A folder of audio files, with metadata as Hugging Face's audiofolder has it, or without.

`metadata.csv`, `metadata.jsonl` or `metadata.parquet` has the column `file_name` and any of `text`
(`transcription`, `sentence`, `transcript`, ...), `instruction`, `response`, `id`, `speaker`,
`split`. There may be one in the folder, or one in each subfolder `train`, `test`, ... Without any,
every audio file below the folder is an utterance that has no transcript yet. Where no column says
it, folders named `train`, `test`, ... tell the split.
"""

import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.readers.parquet import open_parquet
from aura_core.ingest.source_item import (
    Rejection,
    SourceItem,
    clean,
    id_from_path,
    is_audio,
    item_of,
    read_utf8,
    resolve,
    split_of_folder,
)

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def matches(uri: str) -> bool:
    """Whether `uri` is a folder of audio, or its metadata."""
    if posixpath.basename(uri) in METADATA or _metadata_of(uri):
        return True
    fs, path = store.filesystem(uri)
    return bool(fs.isdir(path)) and any(map(is_audio, _paths(uri)))


def read(uri: str, columns: Mapping[str, str]) -> Iterator[SourceItem | Rejection]:
    """Yield the folder's utterances and the rows that are no utterance."""
    if posixpath.basename(uri) in METADATA:
        yield from _read_metadata(*posixpath.split(uri), columns)
        return
    if name := _metadata_of(uri):
        yield from _read_metadata(uri, name, columns)
        return
    paths = _paths(uri)
    tables = [path for path in paths if posixpath.basename(path) in METADATA]
    for path in tables:
        yield from _read_metadata(uri, path, columns)
    if tables:
        return
    if columns:
        raise AuraError(f"ingest.columns names columns, and {uri} has no metadata to have them")
    for path in filter(is_audio, paths):
        yield SourceItem(
            id=id_from_path(path),
            audio_uri=store.join(uri, path),
            split=split_of_folder(posixpath.dirname(path)),
        )


def _read_metadata(
    root: str, path: str, columns: Mapping[str, str]
) -> Iterator[SourceItem | Rejection]:
    uri, folder = store.join(root, path), posixpath.dirname(path)
    column = columns.get("audio", "file_name")
    for where, row in _rows(uri, column):
        name = clean(row.get(column))
        if name is None:
            yield Rejection(where, uri, "bad line", f"{where} has no {column}")
            continue
        place = posixpath.join(folder, posixpath.dirname(name))
        try:
            yield item_of(
                row,
                columns,
                audio_uri=resolve(posixpath.dirname(uri), name),
                own_id=posixpath.join(folder, id_from_path(name)),
                split=split_of_folder(place) or folder.partition("/")[0] or None,
            )
        except ValueError as error:
            yield Rejection(where, uri, "bad line", f"{where} {error}")


def _rows(uri: str, column: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a table, each with what it is called."""
    if uri.endswith(".csv"):
        rows = csv.DictReader(io.StringIO(read_utf8(uri)))
        if column not in (rows.fieldnames or ()):
            raise AuraError(f"{uri} has no column {column}")
        for row in rows:
            yield f"line {rows.line_num}", row
    elif uri.endswith(".jsonl"):
        for number, line in enumerate(read_utf8(uri).split("\n"), start=1):
            if line.strip():
                yield f"line {number}", _object(line)
    else:
        with open_parquet(uri) as file:
            table = file.read()
        if column not in table.column_names:
            raise AuraError(f"{uri} has no column {column}")
        for number, row in enumerate(table.to_pylist()):
            yield f"row {number}", row


def _object(line: str) -> Mapping[str, Any]:
    """What a line holds; nothing if it is no JSON object, so that no field of it is found."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _metadata_of(uri: str) -> str | None:
    return next((name for name in METADATA if store.exists(store.join(uri, name))), None)


def _paths(root: str) -> list[str]:
    """Files below `root`, relative to it."""
    fs, path = store.filesystem(root)
    return sorted(name.removeprefix(path).lstrip("/") for name in fs.find(path))
