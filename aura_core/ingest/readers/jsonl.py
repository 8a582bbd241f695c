"""JSON lines or a JSON array, an object an utterance, as NeMo and many others write them.

Fields: `audio_filepath`, and any of `text` (`transcript`, `sentence`, ...), `instruction`,
`response`, `id`, `speaker`, `split`, `duration`. With `offset`, in seconds, the utterance is the
part of the file that begins there. Or a conversation, as ms-swift and LLaMA-Factory write it:
`messages`, a user's and an assistant's, and `audios`, one. Other fields are ignored.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import (
    Rejection,
    SourceItem,
    clean,
    id_from_path,
    item_of,
    resolve,
)

_AUDIO_TAG = "<audio>"


def matches(uri: str) -> bool:
    """Whether `uri` looks like a JSON manifest."""
    return uri.endswith((".jsonl", ".json", ".ndjson"))


def read(uri: str, columns: Mapping[str, str]) -> Iterator[SourceItem | Rejection]:
    """Yield the manifest's utterances and the lines that are no utterance."""
    root = uri.rpartition("/")[0]
    fs, path = store.filesystem(uri)
    if not fs.isfile(path):
        raise AuraError(f"{uri} is not a file, and so no JSON manifest: check ingest.format")
    with fs.open(path, "rb") as file:
        is_array = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        file.seek(0)
        for where, data in _elements(file.read(), uri) if is_array else _lines(file):
            try:
                yield _item(data, root, columns)
            except ValueError as error:
                yield Rejection(where, uri, "bad line", f"{where} {error}")


def _lines(lines: Any) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"line {number}", line


def _elements(text: bytes, uri: str) -> Iterator[tuple[str, Any]]:
    try:
        elements = json.loads(text)
    except ValueError as error:
        raise AuraError(f"{uri} is neither JSON lines nor a JSON array ({error})") from error
    yield from ((f"element {number}", each) for number, each in enumerate(elements, start=1))


def _item(data: Any, root: str, columns: Mapping[str, str]) -> SourceItem:
    """Raises ValueError, which goes on where a line's number has begun, if it is no utterance."""
    if isinstance(data, bytes):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise ValueError(f"is not JSON ({error})") from error
    if isinstance(data, dict) and "messages" in data:
        data = _of_conversation(data)
    name = columns.get("audio", "audio_filepath")
    audio = clean(data.get(name)) if isinstance(data, dict) else None
    if audio is None:
        raise ValueError(f"has no {name}")
    offset_s, duration_s = _seconds(data, "offset"), _seconds(data, "duration")
    own_id = id_from_path(audio)
    if offset_s is not None:
        own_id += f"-{offset_s:g}" + ("" if duration_s is None else f"+{duration_s:g}")
    return item_of(
        data,
        columns,
        audio_uri=resolve(root, audio),
        own_id=own_id,
        offset_s=offset_s,
        declared_duration_s=duration_s,
    )


def _seconds(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"has {name} {value!r}, which is no number of seconds")
    return float(value)


def _of_conversation(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a question about one clip and its answer."""
    audios, messages = data.get("audios"), data["messages"]
    if not isinstance(audios, list) or len(audios) != 1:
        raise ValueError("has messages, and audios is no list of one clip")
    roles = [each.get("role") if isinstance(each, dict) else None for each in messages or ()]
    if roles != ["user", "assistant"]:
        raise ValueError(f"has messages of {roles}: one of the user and one of the assistant")
    asked, answered = (clean(each.get("content")) or "" for each in messages)
    return {
        **data,
        "audio_filepath": audios[0],
        "instruction": asked.replace(_AUDIO_TAG, " "),
        "response": answered,
    }
