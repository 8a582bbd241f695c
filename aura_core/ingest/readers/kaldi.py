"""A Kaldi data folder: `wav.scp` and `text`, and if they are there `segments` and `utt2spk`.

Or a folder of such folders, named by their splits: `data/train`, `data/test`. A line of `segments`
is `UTTERANCE RECORDING START END` in seconds; without it a recording is an utterance.
"""

from collections.abc import Iterator, Mapping

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import (
    Rejection,
    SourceItem,
    clean,
    read_utf8,
    resolve,
    split_of_folder,
)

_RECORDINGS = "wav.scp"


def matches(uri: str) -> bool:
    """Whether there is a `wav.scp` in `uri` or in a folder of it."""
    return bool(_folders(uri))


def read(uri: str, columns: Mapping[str, str]) -> Iterator[SourceItem | Rejection]:
    """Yield the utterances of every data folder."""
    if columns:
        raise AuraError("ingest.columns names columns, and Kaldi's files have none")
    for folder in _folders(uri):
        yield from _read_folder(store.join(uri, folder) if folder else uri, split_of_folder(folder))


def _read_folder(uri: str, split: str | None) -> Iterator[SourceItem | Rejection]:
    recordings, texts, speakers = (_table(uri, name) for name in (_RECORDINGS, "text", "utt2spk"))
    segments = _table(uri, "segments") or {name: name for name in recordings}
    for utterance, segment in segments.items():
        recording, *times = segment.split()
        path = recordings.get(recording)
        try:
            if path is None:
                raise ValueError(f"names recording {recording}, which {_RECORDINGS} does not have")
            if path.endswith("|"):
                raise ValueError(f"is made by a command ({path}): write its sound to a file")
            offset_s, length_s = _times(times)
        except ValueError as error:
            yield Rejection(utterance, uri, "bad line", f"{utterance} {error}")
            continue
        yield SourceItem(
            id=utterance,
            audio_uri=resolve(uri, path),
            text=clean(texts.get(utterance)),
            speaker=speakers.get(utterance),
            split=split,
            offset_s=offset_s,
            declared_duration_s=length_s,
        )


def _times(times: list[str]) -> tuple[float | None, float | None]:
    """From the start and end of a segment to its offset and length; without them, the whole."""
    if not times:
        return None, None
    try:
        start_s, end_s = map(float, times[:2])
    except ValueError as error:
        raise ValueError(f"has the times {' '.join(times)}, not two numbers of seconds") from error
    if not 0 <= start_s < end_s:
        raise ValueError(f"begins at {start_s:g} s and ends at {end_s:g} s")
    return start_s, end_s - start_s


def _table(uri: str, name: str) -> dict[str, str]:
    """The rest of each line by its first word; empty without the file."""
    path = store.join(uri, name)
    lines = read_utf8(path).split("\n") if store.exists(path) else []
    parts = (line.strip().partition(" ") for line in lines)
    return {key: value.strip() for key, _, value in parts if key}


def _folders(uri: str) -> list[str]:
    """The data folders, from `uri` on; "" for itself."""
    if store.exists(store.join(uri, _RECORDINGS)):
        return [""]
    fs, path = store.filesystem(uri)
    if not fs.isdir(path):
        return []
    names = sorted(each["name"].rpartition("/")[2] for each in fs.ls(path, detail=True))
    return [name for name in names if store.exists(store.join(uri, name, _RECORDINGS))]
