"""Which utterance goes into which part and split, decided before any audio is read.

The plan depends on the config and the manifest alone, so parts are the same for
any number of workers, and a killed run can go on with the parts it lacks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import xxhash

from aura_core.config.run import IngestConfig
from aura_core.errors import AuraError
from aura_core.ingest.grammar import DemoUtterance, grammar_text, parse_grammar, plan_corpus
from aura_core.ingest.source import human_items, read_items
from aura_core.ingest.source_item import Rejection, SourceItem
from aura_core.ingest.utterances import safe_key

PART_ITEMS = 128
ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Part:
    """What one part of the table is made from: items of a manifest, or sentences to speak."""

    number: int
    items: tuple[SourceItem, ...] = ()
    sentences: tuple[DemoUtterance, ...] = ()

    def __len__(self) -> int:
        return len(self.items) + len(self.sentences)

    @property
    def splits(self) -> Counter[str]:
        """The splits its utterances belong to, and how many to each."""
        named = (item.split for item in self.items if item.split is not None)
        return Counter(named) + Counter(utterance.split for utterance in self.sentences)


@dataclass(frozen=True)
class IngestPlan:
    """Parts in the order of the table, and what was refused before decoding."""

    parts: tuple[Part, ...]
    rejections: tuple[Rejection, ...] = ()
    renamed: int = 0  # utterances whose id another one had

    @property
    def num_listed(self) -> int:
        """Everything the source names, good or bad."""
        return sum(len(part) for part in self.parts) + len(self.rejections)


def plan_ingest(config: IngestConfig, human: bool = False) -> IngestPlan:
    """List and divide what is to be ingested.

    Args:
        config: the stage's settings.
        human: whether the demo corpus has human speech, which depends on the machine.

    Raises:
        AuraError: if the manifest cannot be read or names no utterance, or human speech is not
            installed.
    """
    if config.manifest is None:
        return _plan_demo(config, human)
    items, rejections, renamed = _sift(read_items(config), config)
    if not items and not rejections:
        raise AuraError(f"manifest {config.manifest} names no utterance")
    listed = enumerate(_batches(_with_splits(items, config.heldout_share)))
    parts = tuple(Part(number, items=batch) for number, batch in listed)
    return IngestPlan(parts, tuple(rejections), renamed)


def _plan_demo(config: IngestConfig, human: bool) -> IngestPlan:
    utterances = plan_corpus(parse_grammar(grammar_text()), config.demo)[: config.limit]
    parts = [Part(number, sentences=each) for number, each in enumerate(_batches(utterances))]
    if human:
        room = config.demo.human_utterances
        if config.limit is not None:
            room = min(room, config.limit - len(utterances))
        heard = enumerate(_batches(human_items(room)), len(parts))
        parts += [Part(number, items=each) for number, each in heard]
    return IngestPlan(tuple(parts))


def _sift(
    entries: Iterable[SourceItem | Rejection], config: IngestConfig
) -> tuple[list[SourceItem], list[Rejection], int]:
    """The usable items, what is left out, and how many got another id.

    Every stage after this one tells utterances apart by the keys of their samples. An id that
    another recording has, as where many speakers read one sentence, gets its number appended.
    """
    items: dict[str, SourceItem] = {}
    same_id: Counter[str] = Counter()
    rejections = []
    renamed = 0
    for entry in entries:
        if isinstance(entry, Rejection):
            rejections.append(entry)
            continue
        if entry.text is None and not config.pseudo_label:
            why = "give text, or run with --pseudo-label"
            rejections.append(Rejection(entry.id, entry.audio_uri, "no transcript", why))
            continue
        first = items.get(safe_key(entry.id))
        if first == entry:
            why = "the line is there twice"
            rejections.append(Rejection(entry.id, entry.audio_uri, "duplicate", why))
            continue
        unique = entry
        while safe_key(unique.id) in items:
            same_id[entry.id] += 1
            unique = replace(entry, id=f"{entry.id}-{same_id[entry.id] + 1}")
        renamed += unique is not entry
        items[safe_key(unique.id)] = unique
    return list(items.values()), rejections, renamed


def _with_splits(items: list[SourceItem], heldout_share: float) -> list[SourceItem]:
    """Give items without a split one, by the hash of their id; at least one is held out."""
    ranks = {item.id: _rank(item.id) for item in items if item.split is None}
    heldout = {id_ for id_, rank in ranks.items() if rank < heldout_share}
    if heldout_share > 0 and not heldout and len(ranks) >= 2:
        heldout = {min(ranks, key=lambda id_: ranks[id_])}
    if len(heldout) == len(ranks) >= 2:
        heldout.remove(max(ranks, key=lambda id_: ranks[id_]))
    return [
        replace(item, split="heldout" if item.id in heldout else "train")
        if item.split is None
        else item
        for item in items
    ]


def _rank(id_: str) -> float:
    """A number in [0, 1) that depends on the id alone, so that growth moves no utterance."""
    return xxhash.xxh3_64_intdigest(id_.encode()) / 2**64


def _batches(items: Iterable[ItemT]) -> Iterator[tuple[ItemT, ...]]:
    remaining = iter(items)
    while batch := tuple(islice(remaining, PART_ITEMS)):
        yield batch
