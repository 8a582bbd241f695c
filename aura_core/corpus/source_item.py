"""What a manifest says: utterances still to be decoded, and lines that cannot be used."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aura_core.artifacts import store
from aura_core.errors import AuraError

# Of files that soundfile reads.
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf",
)  # fmt: skip
# What datasets call the transcript.
TEXT_FIELDS = ("text", "transcription", "sentence")


@dataclass(frozen=True)
class SourceItem:
    """One utterance of a manifest; its audio has not been touched.

    `audio_uri` names an audio file, or a Parquet file that holds the audio in
    `parquet_row` = (row group, row inside it).
    """

    id: str
    audio_uri: str
    text: str | None = None
    instruction: str | None = None
    response: str | None = None
    speaker: str | None = None
    split: str | None = None
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


def transcript(fields: Mapping[str, object]) -> str | None:
    """The first of `TEXT_FIELDS` that says something."""
    return next((text for name in TEXT_FIELDS if (text := clean(fields.get(name)))), None)


def read_utf8(uri: str) -> str:
    """Read a manifest's text. Raises AuraError if it is not UTF-8."""
    try:
        return store.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AuraError(f"{uri} is not UTF-8 ({error.reason}): convert it first") from error
