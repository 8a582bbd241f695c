"""A folder of audio files, with a `metadata.csv` (Hugging Face's audiofolder) or without.

`metadata.csv` has the column `file_name` and any of `text` (or `transcription`,
`sentence`), `instruction`, `response`, `id`, `speaker`, `split`. There may be one in
the folder, or one in each subfolder `train`, `test`, ..., which then names the split.
Without any, every audio file below the folder is an utterance that has no transcript yet.
"""

import csv
import io
import posixpath
from collections.abc import Iterator

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import (
    AUDIO_SUFFIXES,
    Rejection,
    SourceItem,
    clean,
    id_from_path,
    read_utf8,
    resolve,
    transcript,
)

METADATA = "metadata.csv"


def matches(uri: str) -> bool:
    """Whether `uri` is a folder of audio, or its `metadata.csv`."""
    if uri.endswith("/" + METADATA) or store.exists(store.join(uri, METADATA)):
        return True
    fs, path = store.filesystem(uri)
    return bool(fs.isdir(path)) and any(map(_is_audio, _paths(uri)))


def read(uri: str) -> Iterator[SourceItem | Rejection]:
    """Yield the folder's utterances and the rows that are no utterance."""
    root = uri.removesuffix("/" + METADATA)
    if store.exists(store.join(root, METADATA)):
        yield from _read_metadata(root, "")
        return
    paths = _paths(root)
    folders = [posixpath.dirname(path) for path in paths if path.endswith("/" + METADATA)]
    for folder in folders:
        yield from _read_metadata(root, folder)
    if not folders:
        for path in filter(_is_audio, paths):
            yield SourceItem(id=id_from_path(path), audio_uri=store.join(root, path))


def _read_metadata(root: str, folder: str) -> Iterator[SourceItem | Rejection]:
    metadata_uri = store.join(root, posixpath.join(folder, METADATA))
    rows = csv.DictReader(io.StringIO(read_utf8(metadata_uri)))
    if "file_name" not in (rows.fieldnames or ()):
        raise AuraError(f"{metadata_uri} has no column file_name")
    for row in rows:
        name = clean(row["file_name"])
        if name is None:
            where = f"line {rows.line_num}"
            yield Rejection(where, metadata_uri, "bad line", f"{where} has no file_name")
            continue
        yield SourceItem(
            id=clean(row.get("id")) or posixpath.join(folder, id_from_path(name)),
            audio_uri=resolve(posixpath.dirname(metadata_uri), name),
            text=transcript(row),
            instruction=clean(row.get("instruction")),
            response=clean(row.get("response")),
            speaker=clean(row.get("speaker")),
            split=clean(row.get("split")) or folder.partition("/")[0] or None,
        )


def _paths(root: str) -> list[str]:
    """Files below `root`, relative to it."""
    fs, path = store.filesystem(root)
    return sorted(name.removeprefix(path).lstrip("/") for name in fs.find(path))


def _is_audio(path: str) -> bool:
    return path.lower().endswith(AUDIO_SUFFIXES)
