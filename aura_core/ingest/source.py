"""Where utterances come from: a manifest's format and items, human speech, and what pins them."""

import contextlib
import gzip
import itertools
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xxhash

from aura_core.artifacts import store
from aura_core.artifacts.digest import cache_folder
from aura_core.config.run import YOUR_SPEECH, DemoCorpusConfig, IngestConfig
from aura_core.config.stage import StageConfig
from aura_core.config.voices import VOICE, espeak_digest, require_installed, second_voice
from aura_core.errors import AuraError
from aura_core.ingest.grammar import english_words_text, grammar_text
from aura_core.ingest.readers import (
    audiofolder,
    commonvoice,
    jsonl,
    kaldi,
    librispeech,
    parquet,
)
from aura_core.ingest.source_item import Rejection, SourceItem
from aura_core.models.references import digest

# What pins the content of source audio, without reading a large corpus on every run.

_READ_BYTES = 1 << 20
MISSING = "missing"


def content_digests(uris: Iterable[str]) -> dict[str, str]:
    """Return URI -> size and digest of the content, or `MISSING`.

    A local file is hashed; an object counts by the entity tag its store keeps.
    The digests of a set of local files are remembered for as long as no file's
    size or time of change differs.
    """
    uris = sorted(set(uris))
    local = [uri for uri in uris if not store.is_remote(uri)]
    remote = [uri for uri in uris if store.is_remote(uri)]
    return _local_digests(local) | _remote_digests(remote)


def _local_digests(uris: list[str]) -> dict[str, str]:
    signature = xxhash.xxh3_128()
    for uri in uris:
        signature.update(f"{uri}\0{_stamp(uri)}\n".encode())
    note = cache_folder() / "corpora" / f"{signature.hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError):
        remembered: dict[str, str] = json.loads(note.read_text())
        return remembered
    digests = {uri: _file_digest(uri) for uri in uris}
    # A read-only home costs only the memory, not the run.
    with contextlib.suppress(OSError):
        store.write_text(str(note), json.dumps(digests))
    return digests


def _stamp(uri: str) -> str:
    fs, path = store.filesystem(uri)
    try:
        info = fs.info(path)
    except FileNotFoundError:
        return MISSING
    return f"{info['size']} {info['mtime']!r}"


def _file_digest(uri: str) -> str:
    fs, path = store.filesystem(uri)
    digest, size_bytes = xxhash.xxh3_128(), 0
    try:
        with fs.open(path, "rb") as file:
            while data := file.read(_READ_BYTES):
                digest.update(data)
                size_bytes += len(data)
    except (FileNotFoundError, IsADirectoryError):
        return MISSING
    return f"{size_bytes} {digest.hexdigest()}"


def _remote_digests(uris: list[str]) -> dict[str, str]:
    listings: dict[str, Mapping[str, Any]] = {}
    digests = {}
    for uri in uris:
        folder = posixpath.dirname(uri)
        if folder not in listings:
            listings[folder] = _listing(folder)
        info = listings[folder].get(store.filesystem(uri)[1])
        tag = info and (info.get("ETag") or info.get("etag"))
        digests[uri] = f"{info['size']} {tag}" if info and tag else _file_digest(uri)
    return digests


def _listing(folder: str) -> dict[str, Any]:
    fs, path = store.filesystem(folder)
    fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        return {entry["name"]: entry for entry in fs.ls(path, detail=True)}
    return {}


# Human speech for the demo corpus, where it is installed: the split `human`, only tested on.
#
# Debian's asterisk-core-sounds-en-wav holds prompts of a telephone exchange, read by Allison
# Smith, and asterisk-core-sounds-en what they say (CC-BY-SA 3.0). Nothing of either is in this
# project.

PACKAGES = "asterisk-core-sounds-en asterisk-core-sounds-en-wav"
SPLIT, SPEAKER = "human", "allison"
SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TRANSCRIPTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
MIN_DURATION_S, MAX_DURATION_S = 1.5, 8.0
# 8 kHz, 16 bit, mono, behind a header of 44 bytes.
_BYTES_PER_S, _HEADER_BYTES = 16_000, 44
# A sentence in words: no digits, no names of keys, no notes in brackets, no half of a sentence.
_SENTENCE = re.compile(r"[A-Za-z][a-z' ,;!?-]*(?:[.!?] +[A-Za-z][a-z' ,;!?-]*)*[.!?]?")
_MIN_WORDS = 3
# The list spells a word of theirs wrong.
_MISPRINTED = frozenset({"queue-periodic-announce", "unidentified-no-callback"})


def is_installed() -> bool:
    """Whether the prompts and their transcripts are on this machine."""
    return SOUNDS.is_dir() and TRANSCRIPTS.is_file()


def human_items(count: int) -> list[SourceItem]:
    """Up to `count` prompts, each text once, chosen by the hash of their names.

    Raises:
        AuraError: if they are not installed.
    """
    if not is_installed():
        raise AuraError(
            "the split `human` needs human speech that this machine lacks: "
            f"apt-get install {PACKAGES}"
        )
    items = {item.text: item for item in _usable() if item.text}
    ranked = sorted(items.values(), key=lambda item: xxhash.xxh3_64_intdigest(item.id.encode()))
    return ranked[:count]


def human_digest(count: int) -> str | None:
    """What pins the split: its texts and the content of its files; None if there is none."""
    if count == 0 or not is_installed():
        return None
    items = human_items(count)
    content = content_digests(item.audio_uri for item in items)
    listed = [[asdict(item), content[item.audio_uri]] for item in items]
    return f"xxh3:{xxhash.xxh3_128_hexdigest(json.dumps(listed).encode())}"


def _usable() -> list[SourceItem]:
    items = []
    for line in gzip.decompress(TRANSCRIPTS.read_bytes()).decode(errors="replace").splitlines():
        name, _, said = line.partition(":")
        text, path = " ".join(said.split()), SOUNDS / f"{name}.wav"
        if len(text.split()) < _MIN_WORDS or not _SENTENCE.fullmatch(text):
            continue
        if name in _MISPRINTED or not path.is_file():
            continue
        duration_s = (path.stat().st_size - _HEADER_BYTES) / _BYTES_PER_S
        if MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
            item_id = f"{SPLIT}-{name.replace('/', '-')}"
            items.append(SourceItem(item_id, str(path), text=text, speaker=SPEAKER, split=SPLIT))
    return items


_SPLIT_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Format:
    """How a manifest is recognised and read."""

    matches: Callable[[str], bool]
    read: Callable[[str, Mapping[str, str]], Iterator[SourceItem | Rejection]]


# `auto` takes the first that matches, so the least particular one comes last.
FORMATS = {
    "jsonl": Format(jsonl.matches, jsonl.read),
    "parquet": Format(parquet.matches, parquet.read),
    "librispeech": Format(librispeech.matches, librispeech.read),
    "commonvoice": Format(commonvoice.matches, commonvoice.read),
    "kaldi": Format(kaldi.matches, kaldi.read),
    "audiofolder": Format(audiofolder.matches, audiofolder.read),
}


def read_items(config: IngestConfig) -> Iterator[SourceItem | Rejection]:
    """Yield what the manifest holds, lazily, up to `config.limit`.

    Raises:
        AuraError: if the manifest does not exist or its format cannot be told.
    """
    uri = _manifest_uri(config)
    items = FORMATS[_format(config, uri)].read(uri, config.columns)
    return map(_checked, itertools.islice(items, config.limit))


def source_digests(config: StageConfig) -> dict[str, str]:
    """Return what pins the content a stage reads from outside; empty for all but ingest.

    Raises:
        AuraError: as `read_items`; or if a voice of the demo corpus is not installed.
    """
    if not isinstance(config, IngestConfig):
        return {}
    if config.manifest is None:
        return _demo_digests(config.demo)
    return {"manifest": _manifest_digest(read_items(config))}


def installable(config: IngestConfig) -> str | None:
    """One line on what Debian's packages would add to the demo corpus; None: nothing."""
    if config.manifest is not None:
        return None
    more = []
    if config.demo.human_utterances and not is_installed():
        more.append(f"apt-get install {PACKAGES} adds human speech to test on")
    if second_voice(config.demo.train_voices).startswith("espeak-ng:"):
        more.append("apt-get install flite adds a test voice that is not espeak-ng's")
    return "; ".join(more) or None


def _demo_digests(config: DemoCorpusConfig) -> dict[str, str]:
    require_installed(config.train_voices)
    digests = {
        "grammar": store.xxh3(grammar_text().encode()),
        "voice": digest(VOICE),
        "espeak": espeak_digest(),
        "second_voice": second_voice(config.train_voices),
    }
    if config.random_words_share and config.random_words == "english":
        digests["english_words"] = store.xxh3(english_words_text().encode())
    if (human := human_digest(config.human_utterances)) is not None:
        digests["human"] = human
    return digests


def _checked(item: SourceItem | Rejection) -> SourceItem | Rejection:
    """Splits become parts of file names."""
    if isinstance(item, SourceItem) and item.split and not _SPLIT_NAME.fullmatch(item.split):
        detail = f"{item.split!r} is not made of letters, digits, '.', '_' and '-'"
        return Rejection(item.id, item.audio_uri, "bad split", detail)
    return item


def _manifest_digest(items: Iterable[SourceItem | Rejection]) -> str:
    """One digest over every item and the content of its audio."""
    listed = list(items)
    content = content_digests({item.audio_uri for item in listed if isinstance(item, SourceItem)})
    total = xxhash.xxh3_128()
    for item in listed:
        fields = asdict(item)
        if isinstance(item, SourceItem):
            fields["content"] = content[item.audio_uri]
        total.update(json.dumps(fields, sort_keys=True).encode() + b"\n")
    return f"xxh3:{total.hexdigest()}"


def _manifest_uri(config: IngestConfig) -> str:
    if config.manifest is None:
        raise AuraError("no manifest is given")
    if config.manifest == YOUR_SPEECH:
        raise AuraError(
            "this recipe trains on your own speech and brings none: name it by --manifest, a "
            ".jsonl file with audio_filepath and text on each line, or a folder (docs/recipes.md)"
        )
    uri = config.manifest.rstrip("/")
    if not store.is_remote(uri):
        # Workers may have another working folder.
        uri = str(Path(uri.removeprefix("file://")).expanduser().absolute())
    if not store.exists(uri):
        raise AuraError(f"manifest {uri} does not exist")
    return uri


def _format(config: IngestConfig, uri: str) -> str:
    if config.format != "auto":
        return config.format
    for name, candidate in FORMATS.items():
        if candidate.matches(uri):
            return name
    raise AuraError(
        f"cannot tell the format of {uri}: expected a .jsonl or .parquet file, or a folder with "
        "metadata.csv (or .jsonl, .parquet), *.trans.txt, wav.scp, Common Voice's *.tsv, *.parquet "
        "or audio files; name it with --set ingest.format=..."
    )
