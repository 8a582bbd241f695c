"""A folder of audio files, with a `metadata.csv` (Hugging Face's audiofolder) or without.

`metadata.csv` has the column `file_name` and any of `text` (or `transcription`),
`instruction`, `response`, `id`, `speaker`, `split`. Without it every audio file
below the folder is an utterance that has no transcript yet.
"""

import csv
import io
from collections.abc import Iterator

from aura_core.artifacts import store
from aura_core.corpus.source_item import Rejection, SourceItem, clean, id_from_path, resolve
from aura_core.errors import AuraError

METADATA = "metadata.csv"
_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf")


def matches(uri: str) -> bool:
    """Whether `uri` is a folder of audio, or its `metadata.csv`."""
    if uri.endswith("/" + METADATA) or store.exists(store.join(uri, METADATA)):
        return True
    fs, path = store.filesystem(uri)
    return bool(fs.isdir(path)) and next(_audio_paths(uri), None) is not None


def read(uri: str) -> Iterator[SourceItem | Rejection]:
    """Yield the folder's utterances and the rows that are no utterance."""
    root = uri.removesuffix("/" + METADATA)
    metadata_uri = store.join(root, METADATA)
    if store.exists(metadata_uri):
        yield from _read_metadata(metadata_uri, root)
    else:
        for path in _audio_paths(root):
            yield SourceItem(id=id_from_path(path), audio_uri=store.join(root, path))


def _read_metadata(metadata_uri: str, root: str) -> Iterator[SourceItem | Rejection]:
    rows = csv.DictReader(io.StringIO(store.read_bytes(metadata_uri).decode("utf-8-sig")))
    if "file_name" not in (rows.fieldnames or ()):
        raise AuraError(f"{metadata_uri} has no column file_name")
    for row in rows:
        name = clean(row["file_name"])
        if name is None:
            where = f"line {rows.line_num}"
            yield Rejection(where, metadata_uri, "bad line", f"{where} has no file_name")
            continue
        yield SourceItem(
            id=clean(row.get("id")) or id_from_path(name),
            audio_uri=resolve(root, name),
            text=clean(row.get("text")) or clean(row.get("transcription")),
            instruction=clean(row.get("instruction")),
            response=clean(row.get("response")),
            speaker=clean(row.get("speaker")),
            split=clean(row.get("split")),
        )


def _audio_paths(root: str) -> Iterator[str]:
    fs, path = store.filesystem(root)
    for name in sorted(fs.find(path)):
        if name.lower().endswith(_SUFFIXES):
            yield name.removeprefix(path).lstrip("/")
