"""Where the utterances come from: the manifest's format, its items, and what pins them."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from aura_core.artifacts import store
from aura_core.config import YOUR_SPEECH, DemoCorpusConfig, IngestConfig
from aura_core.corpus import human_speech
from aura_core.corpus.grammar import grammar_text
from aura_core.corpus.random_words import english_words_text
from aura_core.corpus.readers import audiofolder, jsonl, librispeech, parquet
from aura_core.corpus.source_digest import content_digests
from aura_core.corpus.source_item import Rejection, SourceItem
from aura_core.corpus.voice import VOICE, espeak_digest, require_installed, second_voice
from aura_core.errors import AuraError
from aura_core.models.references import digest
from aura_core.stage_config import StageConfig

_SPLIT_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Format:
    """How a manifest is recognised and read."""

    matches: Callable[[str], bool]
    read: Callable[[str], Iterator[SourceItem | Rejection]]


# `auto` takes the first that matches, so the least particular one comes last.
FORMATS = {
    "jsonl": Format(jsonl.matches, jsonl.read),
    "parquet": Format(parquet.matches, parquet.read),
    "librispeech": Format(librispeech.matches, librispeech.read),
    "audiofolder": Format(audiofolder.matches, audiofolder.read),
}


def read_items(config: IngestConfig) -> Iterator[SourceItem | Rejection]:
    """Yield what the manifest holds, lazily, up to `config.limit`.

    Raises:
        AuraError: if the manifest does not exist or its format cannot be told.
    """
    uri = _manifest_uri(config)
    items = FORMATS[_format(config, uri)].read(uri)
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
    if config.demo.human_utterances and not human_speech.is_installed():
        more.append(f"apt-get install {human_speech.PACKAGES} adds human speech to test on")
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
    if (human := human_speech.human_digest(config.human_utterances)) is not None:
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
        "metadata.csv, *.trans.txt, *.parquet or audio files; name it with --set ingest.format=..."
    )
