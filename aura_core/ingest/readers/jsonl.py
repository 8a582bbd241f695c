"""JSON lines, one utterance each, as NeMo and many others write them.

Fields: `audio_filepath`, and any of `text`, `instruction`, `response`, `id`,
`speaker`, `split`, `duration`. Others are ignored, but a segment (`offset`) is
refused: taking the whole file for it would be wrong.
"""

import json
from collections.abc import Iterator
from typing import Any

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection, SourceItem, clean, id_from_path, resolve

_TEXTS = ("text", "instruction", "response", "id", "speaker", "split")


def matches(uri: str) -> bool:
    """Whether `uri` looks like a JSONL manifest."""
    return uri.endswith((".jsonl", ".json", ".ndjson"))


def read(uri: str) -> Iterator[SourceItem | Rejection]:
    """Yield the manifest's utterances and the lines that are no utterance."""
    root = uri.rpartition("/")[0]
    fs, path = store.filesystem(uri)
    if not fs.isfile(path):
        raise AuraError(f"{uri} is not a file, and so no JSONL manifest: check ingest.format")
    with fs.open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parse(line, number, root, uri)


def _parse(line: bytes, number: int, root: str, uri: str) -> SourceItem | Rejection:
    where = f"line {number}"

    def bad(why: str) -> Rejection:
        return Rejection(id=where, path=uri, kind="bad line", detail=f"{where} {why}")

    try:
        data: Any = json.loads(line)
    except ValueError as error:
        return bad(f"is not JSON ({error})")
    audio = clean(data.get("audio_filepath")) if isinstance(data, dict) else None
    if audio is None:
        return bad("has no audio_filepath")
    if data.get("offset"):
        return bad("is a segment (offset): cut the audio into one file per utterance")
    for name in _TEXTS:
        if isinstance(data.get(name), list | dict):
            return bad(f"has {name} {data[name]!r}, which is no text")
    duration = data.get("duration")
    if duration is not None and (
        isinstance(duration, bool) or not isinstance(duration, int | float)
    ):
        return bad(f"has duration {duration!r}, which is no number of seconds")
    return SourceItem(
        id=clean(data.get("id")) or id_from_path(audio),
        audio_uri=resolve(root, audio),
        text=clean(data.get("text")),
        instruction=clean(data.get("instruction")),
        response=clean(data.get("response")),
        speaker=clean(data.get("speaker")),
        split=clean(data.get("split")),
        declared_duration_s=None if duration is None else float(duration),
    )
