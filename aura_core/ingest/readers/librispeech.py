"""A LibriSpeech tree: SUBSET/SPEAKER/CHAPTER/*.flac beside SPEAKER-CHAPTER.trans.txt.

The root may be the whole corpus or one subset. A subset `train-*` is split
`train`; the others keep their names.
"""

from collections.abc import Iterator, Mapping

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection, SourceItem, clean, read_utf8

_SUFFIX = ".trans.txt"


def matches(uri: str) -> bool:
    """Whether there is a transcript file below `uri`."""
    return bool(_transcript_paths(uri))


def read(uri: str, columns: Mapping[str, str]) -> Iterator[SourceItem | Rejection]:
    """Yield the utterances of every transcript file, in the order of their paths."""
    if columns:
        raise AuraError("ingest.columns names columns, and LibriSpeech's transcripts have none")
    for path in _transcript_paths(uri):
        folder = path.rpartition("/")[0]
        lines = read_utf8(store.join(uri, path)).splitlines()
        for number, line in enumerate(lines, start=1):
            id_, _, text = line.strip().partition(" ")
            if not id_:
                continue
            if id_.count("-") != 2:
                where = f"line {number}"
                detail = f"{where} does not start with SPEAKER-CHAPTER-NUMBER"
                yield Rejection(where, store.join(uri, path), "bad line", detail)
                continue
            yield SourceItem(
                id=id_,
                audio_uri="/".join(part for part in (uri, folder, f"{id_}.flac") if part),
                text=clean(text.lower()),
                speaker=id_.split("-")[0],
                split=_split(uri, path),
            )


def _split(uri: str, path: str) -> str | None:
    # Counted from the file upwards: SUBSET/SPEAKER/CHAPTER/file.
    parts = [part for part in f"{uri}/{path}".split("/") if part]
    subset = parts[-4] if len(parts) >= 4 else ""
    if subset.startswith("train"):
        return "train"
    return subset if subset.startswith(("dev", "test")) else None


def _transcript_paths(uri: str) -> list[str]:
    fs, root = store.filesystem(uri)
    if not fs.isdir(root):
        return []
    return sorted(
        name.removeprefix(root).lstrip("/") for name in fs.find(root) if name.endswith(_SUFFIX)
    )
