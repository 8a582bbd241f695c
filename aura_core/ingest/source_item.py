"""What a manifest says: utterances still to be decoded, and what is left out, by name."""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aura_core.artifacts import store
from aura_core.config.run import TEXT_COLUMNS
from aura_core.errors import AuraError

# Of files that soundfile reads.
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf",
)  # fmt: skip
# What telephones and browsers record, and films: read by ffmpeg, where it is installed.
FFMPEG_SUFFIXES = (
    ".m4a", ".webm", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".mka", ".mkv", ".mov",
)  # fmt: skip
# `test-00000-of-00002`, also with the hash that the hub appends.
_SHARD = re.compile(r"(\w[\w.-]*?)-\d+-of-\d+(?:-[0-9a-f]+)?")
_SPLIT_WORDS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip


@dataclass(frozen=True)
class SourceItem:
    """One utterance of a manifest; its audio has not been touched.

    `audio_uri` names an audio file, or a Parquet file that holds the audio in
    `parquet_row` = (row group, row inside it). With an `offset_s` the utterance is the part of
    the file that begins there, of `declared_duration_s`, or to its end.
    """

    id: str
    audio_uri: str
    text: str | None = None
    instruction: str | None = None
    response: str | None = None
    speaker: str | None = None
    split: str | None = None
    offset_s: float | None = None
    declared_duration_s: float | None = None
    parquet_row: tuple[int, int] | None = None


@dataclass(frozen=True)
class Rejection:
    """An utterance that is left out. `kind` is counted, `detail` is for the reader."""

    id: str
    path: str
    kind: str
    detail: str = ""

    @property
    def reason(self) -> str:
        """The kind and, if there is more to say, the detail."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind

    def as_json(self) -> dict[str, str]:
        """A line of `rejected.jsonl`."""
        return {"id": self.id, "path": self.path, "reason": self.reason}


def is_audio(name: str) -> bool:
    """Whether a file of this name can be read, by soundfile or by ffmpeg."""
    return name.lower().endswith(AUDIO_SUFFIXES) or needs_ffmpeg(name)


def needs_ffmpeg(name: str) -> bool:
    """Whether only ffmpeg reads a file of this name."""
    return name.lower().endswith(FFMPEG_SUFFIXES)


def resolve(root: str, path: str) -> str:
    """Return the URI of a manifest's path; a relative one starts at the manifest's folder."""
    if store.is_remote(path):
        return path
    path = str(Path(path.removeprefix("file://")).expanduser())
    return path if path.startswith("/") else store.join(root, path)


def id_from_path(path: str) -> str:
    """The id of an utterance whose manifest gives none: its path without the suffix."""
    return posixpath.splitext(path)[0]


def clean(value: object) -> str | None:
    """A manifest's field as text; empty, missing and blank are None."""
    # JSON can spell half a surrogate pair, which no file can hold.
    return None if value is None else str(value).encode(errors="replace").decode().strip() or None


def item_of(
    row: Mapping[str, object],
    columns: Mapping[str, str],
    *,
    audio_uri: str,
    own_id: str,
    split: str | None = None,
    **place: Any,
) -> SourceItem:
    """The utterance of a manifest's row, with what its place tells where the row does not.

    Args:
        row: its fields by the manifest's own names.
        columns: our name -> the manifest's, where it is none that is known.
        audio_uri: where its audio is.
        own_id: its id, if the row has none.
        split: its split, if the row has none.
        place: further fields of `SourceItem`.

    Raises:
        ValueError: for a field of text that holds a list or an object.
    """
    texts: dict[str, Any] = dict.fromkeys(TEXT_COLUMNS)
    for field, names in wanted_columns(columns).items():
        for name in names:
            value = row.get(name)
            if isinstance(value, list | dict | bytes):
                raise ValueError(f"has {name} {str(value)[:40]}, which is no text")
            if (text := clean(value)) is not None:
                texts[field] = text
                break
    texts |= {"id": texts["id"] or own_id, "split": texts["split"] or split}
    return SourceItem(audio_uri=audio_uri, **texts, **place)


def wanted_columns(columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Our name of each text field -> the names it may have in a manifest."""
    return {
        field: (columns[field],) if field in columns else names
        for field, names in TEXT_COLUMNS.items()
    }


def split_of_shard(path: str) -> str | None:
    """The split that a shard's name tells: `test-00000-of-00002.parquet`."""
    shard = _SHARD.fullmatch(posixpath.splitext(posixpath.basename(path))[0])
    return shard[1] if shard else None


def split_of_path(path: str) -> str | None:
    """The split that a data file's name or folders tell, read as the Hugging Face hub does.

    Args:
        path: of the file, from the manifest's folder on.
    """
    folder, _, name = path.rpartition("/")
    own = split_of_shard(name) or _split_word(posixpath.splitext(name)[0])
    return own or split_of_folder(folder)


def split_of_folder(folder: str) -> str | None:
    """The split that folders tell, the innermost first: `clips/train-other/007`."""
    found = (_split_word(name) for name in reversed(folder.split("/")))
    return next(filter(None, found), None)


def _split_word(name: str) -> str | None:
    words = re.split(r"[\s._0-9-]+", name.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)


def read_utf8(uri: str) -> str:
    """Read a manifest's text. Raises AuraError if it is not UTF-8."""
    try:
        return store.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AuraError(f"{uri} is not UTF-8 ({error.reason}): convert it first") from error


# What is left out: written by name, counted by kind, refused when it is too much.

_SHOWN = 5
REJECTED_NAME = "rejected.jsonl"


def write_rejections(uri: str, rejections: Iterable[Rejection]) -> None:
    """Publish a part's rejections so that a later run can count them again."""
    store.write_text(uri, "".join(json.dumps(asdict(each)) + "\n" for each in rejections))


def read_rejections(uri: str) -> list[Rejection]:
    """Read what `write_rejections` wrote."""
    return [Rejection(**json.loads(line)) for line in store.read_text(uri).splitlines()]


def write_report(uri: str, rejections: Iterable[Rejection]) -> None:
    """Publish `rejected.jsonl`: id, path and reason of each."""
    store.write_text(uri, "".join(json.dumps(each.as_json()) + "\n" for each in rejections))


def count_kinds(rejections: Iterable[Rejection]) -> dict[str, int]:
    """Rejections by kind, the most frequent first."""
    return dict(Counter(each.kind for each in rejections).most_common())


def check_share(rejections: Sequence[Rejection], num_listed: int, max_share: float) -> None:
    """Raise AuraError if too many utterances are rejected, naming why and the first few."""
    count = len(rejections)
    if count <= max_share * num_listed:
        return
    kinds = ", ".join(f"{kind} ({n})" for kind, n in list(count_kinds(rejections).items())[:3])
    names = "; ".join(f"{each.id}: {each.reason}" for each in rejections[:_SHOWN])
    raise AuraError(
        f"{count} of {num_listed} utterances ({count / num_listed:.1%}) are rejected, more than "
        f"the allowed {100 * max_share:g}%: {kinds}; first: {names}; mend them or raise "
        "--set ingest.max_rejected_share=..."
    )
