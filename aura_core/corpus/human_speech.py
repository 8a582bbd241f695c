"""Human speech for the demo corpus, where it is installed: the split `human`, only tested on.

Debian's asterisk-core-sounds-en-wav holds prompts of a telephone exchange, read by Allison Smith,
and asterisk-core-sounds-en what they say (CC-BY-SA 3.0). Nothing of either is in this project.
"""

import gzip
import json
import re
from dataclasses import asdict
from pathlib import Path

import xxhash

from aura_core.corpus.source_digest import content_digests
from aura_core.corpus.source_item import SourceItem
from aura_core.errors import AuraError

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
