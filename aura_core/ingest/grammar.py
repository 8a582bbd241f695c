"""The demo corpus as text: a grammar of requests, and which sentence goes to which split.

Pure and deterministic: order comes from hashes of the sentences, not from a
random generator, so a word added to the grammar moves few other sentences.
"""

import itertools
import string
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import xxhash
import yaml
from pydantic import ValidationError, model_validator

from aura_core.config.run import DemoCorpusConfig
from aura_core.config.stage import Frozen
from aura_core.errors import AuraError

# Sentences of words drawn at random, for the training split of the demo corpus.
#
# From requests alone an ear learns which word comes next; from words without an order it has to
# learn how each one sounds.

MIN_WORDS, MAX_WORDS = 3, 7
# Out of context nobody can tell them from `two`, `four` and `buy`.
_SOUND_LIKE_OTHERS = frozenset({"to", "for", "by"})


def english_words_text() -> str:
    """The source of the list of common English words."""
    return files(__package__).joinpath("english_words.yaml").read_text(encoding="utf-8")


@cache
def english_words() -> tuple[str, ...]:
    """The list's words; no two sound alike."""
    topics: dict[str, str] = yaml.safe_load(english_words_text())
    return tuple(word for words in topics.values() for word in words.split())


def distinct_words(words: Collection[str]) -> list[str]:
    """What can be drawn of `words`: each once, none that is heard as another, in order."""
    return sorted(set(words) - _SOUND_LIKE_OTHERS)


def is_drawn(number: int, share: float) -> bool:
    """Whether `number` is among the `share` of all numbers that are drawn: they are spread evenly.

    Of the first `n` numbers, `int(n * share)` are.
    """
    return int((number + 1) * share) > int(number * share)


def random_words(words: Sequence[str], key: str, taken: Collection[str]) -> str:
    """Draw a sentence that is not in `taken`; it depends on `key` and `words` alone."""
    attempt = 0
    while True:
        count = MIN_WORDS + _draw(f"{key}:{attempt}", MAX_WORDS - MIN_WORDS + 1)
        drawn = (_draw(f"{key}:{attempt}:{place}", len(words)) for place in range(count))
        text = " ".join(words[number] for number in drawn)
        if text not in taken:
            return text
        attempt += 1


def _draw(key: str, choices: int) -> int:
    return xxhash.xxh3_64_intdigest(key.encode()) % choices


DEMO_INSTRUCTION = "What is wanted?"

_LETTERS = frozenset(string.ascii_lowercase + " ")


class Family(Frozen):
    """One intent: its slots in the order of the meaning, and the ways to say it."""

    slots: dict[str, str]
    phrasings: tuple[str, ...]
    held_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> "Family":
        for phrasing in self.phrasings + self.held_out:
            names = slot_names(phrasing)
            if unknown := sorted(set(names) - self.slots.keys()):
                raise ValueError(f"{phrasing!r} uses {unknown[0]!r}, which is not a slot")
            if len(names) != len(set(names)):
                raise ValueError(f"{phrasing!r} uses a slot twice")
            _check_letters(phrasing.format_map(dict.fromkeys(names, "x")))
        if not self.phrasings:
            raise ValueError("a family needs a phrasing that is not held out")
        return self


class Grammar(Frozen):
    """Lists of values and the families that use them."""

    values: dict[str, tuple[str, ...]]
    families: dict[str, Family]

    @model_validator(mode="after")
    def _fits(self) -> "Grammar":
        for name, values in self.values.items():
            if not values or len(set(values)) != len(values):
                raise ValueError(f"values of {name!r} are empty or not distinct")
            for value in values:
                _check_letters(value)
        for intent, family in self.families.items():
            if missing := sorted(set(family.slots.values()) - self.values.keys()):
                raise ValueError(f"family {intent!r} uses {missing[0]!r}, which is not in values")
        return self


@dataclass(frozen=True)
class Sentence:
    """A request in words and its meaning.

    Random words and noise are of no family and mean nothing; the text of noise is empty.
    """

    family: str | None
    phrasing: str
    slots: tuple[tuple[str, str], ...]
    text: str

    @property
    def meaning(self) -> str | None:
        """What the assistant should answer, `intent; slot=value; ...`; None: nothing."""
        if self.family is None:
            return None
        return "; ".join([self.family, *(f"{name}={value}" for name, value in self.slots)])


@dataclass(frozen=True)
class DemoUtterance:
    """A sentence with the place it has in the corpus."""

    id: str
    split: str
    sentence: Sentence


def grammar_text() -> str:
    """The source of the built-in grammar."""
    return files(__package__).joinpath("grammar.yaml").read_text(encoding="utf-8")


def parse_grammar(text: str) -> Grammar:
    """Read and check a grammar. Raises AuraError naming the first mistake."""
    try:
        return Grammar.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise AuraError(f"grammar: {error}") from error


def words_of(grammar: Grammar) -> set[str]:
    """Every word that its sentences can hold."""
    said = [text for values in grammar.values.values() for text in values]
    for family in grammar.families.values():
        for phrasing in family.phrasings + family.held_out:
            said += [text for text, *_ in string.Formatter().parse(phrasing)]
    return {word for text in said for word in text.split()}


def slot_names(phrasing: str) -> list[str]:
    """Names in braces, in order."""
    return [name for _, name, _, _ in string.Formatter().parse(phrasing) if name is not None]


def sentences(grammar: Grammar, intent: str, phrasing: str) -> Iterator[Sentence]:
    """Every sentence one phrasing can make."""
    family = grammar.families[intent]
    names = [name for name in family.slots if name in slot_names(phrasing)]
    for values in itertools.product(*(grammar.values[family.slots[name]] for name in names)):
        slots = tuple(zip(names, values, strict=True))
        yield Sentence(intent, phrasing, slots, phrasing.format_map(dict(slots)))


def plan_corpus(grammar: Grammar, config: DemoCorpusConfig) -> list[DemoUtterance]:
    """Choose the sentences of every split, spread evenly over families and phrasings.

    No sentence of a test split is in train, and those of `phrasing` come from held-out
    phrasings only. Train covers every phrasing and slot value before it takes anything
    else (as far as its size allows), and repeats sentences only when all are used. Between them
    stand its sentences of random words and its clips of noise, if any are asked for.

    Raises:
        AuraError: if the grammar cannot make that many different test sentences.
    """
    seen = {name: _ordered(grammar, name, f.phrasings, config.seed)
            for name, f in grammar.families.items()}  # fmt: skip
    cover = {name: _cover(order) for name, order in seen.items()}
    chosen = {sentence.text for part in cover.values() for sentence in part}
    spare = {name: [s for s in order if s.text not in chosen] for name, order in seen.items()}
    # At most half of what a family has to spare is tested on: the rest is for training.
    test_pool = {name: order[: len(order) // 2] for name, order in spare.items()}
    unseen = {name: _ordered(grammar, name, f.held_out, config.seed)
              for name, f in grammar.families.items()}  # fmt: skip
    trainable = {sentence.text for order in seen.values() for sentence in order}
    phrasing_pool = {name: [s for s in order if s.text not in trainable]
                     for name, order in unseen.items()}  # fmt: skip

    heldout_and_voice = _take(test_pool, config.heldout_utterances + config.voice_utterances)
    tested = {sentence.text for sentence in heldout_and_voice}
    train_pool = {name: cover[name] + [s for s in spare[name] if s.text not in tested]
                  for name in grammar.families}  # fmt: skip
    phrasing = _take(phrasing_pool, config.phrasing_utterances)
    test_texts = tested | {sentence.text for sentence in phrasing}
    splits = {
        "train": _train(grammar, _endless(train_pool), config, test_texts),
        "heldout": heldout_and_voice[: config.heldout_utterances],
        "phrasing": phrasing,
        "voice": heldout_and_voice[config.heldout_utterances :],
    }
    return [
        DemoUtterance(f"{split}-{number:05d}", split, sentence)
        for split, part in splits.items()
        for number, sentence in enumerate(part)
    ]


def _train(
    grammar: Grammar, requests: Iterator[Sentence], config: DemoCorpusConfig, tested: Set[str]
) -> list[Sentence]:
    """The next of `requests`, random words or noise: by the number of the sentence alone."""
    words = words_of(grammar)
    if config.random_words == "english":
        words |= set(english_words())
    pool = distinct_words(words)

    def sentence(number: int) -> Sentence:
        if is_drawn(number, config.noise_share):
            return Sentence(None, "", (), "")
        # What is said is the first of what would be said without noise.
        spoken = number - int(number * config.noise_share)
        if not is_drawn(spoken, config.random_words_share):
            return next(requests)
        text = random_words(pool, f"{config.seed}:{spoken}", tested)
        return Sentence(None, "", (), text)

    return [sentence(number) for number in range(config.train_utterances)]


def _ordered(grammar: Grammar, intent: str, phrasings: Iterable[str], seed: int) -> list[Sentence]:
    """The family's distinct sentences, phrasings taking turns, each in hashed order."""

    def rank(sentence: Sentence) -> int:
        return xxhash.xxh3_64_intdigest(f"{seed}:{sentence.text}".encode())

    lists = {p: sorted(sentences(grammar, intent, p), key=rank) for p in phrasings}
    return list({sentence.text: sentence for sentence in _round_robin(lists)}.values())


def _cover(order: list[Sentence]) -> list[Sentence]:
    """The first sentences that together hold every phrasing and slot value of the family."""
    needed = {part for sentence in order for part in _parts(sentence)}
    taken = []
    for sentence in order:
        if new := _parts(sentence) & needed:
            needed -= new
            taken.append(sentence)
    return taken


def _parts(sentence: Sentence) -> set[tuple[str, str]]:
    return {("", sentence.phrasing), *sentence.slots}


def _round_robin(lists: Mapping[str, list[Sentence]]) -> Iterator[Sentence]:
    for row in itertools.zip_longest(*lists.values()):
        yield from (sentence for sentence in row if sentence is not None)


def _endless(lists: Mapping[str, list[Sentence]]) -> Iterator[Sentence]:
    """Families take turns; one that is used up starts again from its first sentence."""
    cycles = [itertools.cycle(order) for order in lists.values() if order]
    while True:
        yield from (next(cycle) for cycle in cycles)


def _take(lists: Mapping[str, list[Sentence]], count: int) -> list[Sentence]:
    taken = list(itertools.islice(_round_robin(lists), count))
    if len(taken) < count:
        raise AuraError(
            f"the grammar has only {len(taken)} test sentences and {count} are asked for: "
            "lower ingest.demo.*_utterances or extend the grammar"
        )
    return taken


def _check_letters(text: str) -> None:
    if bad := sorted(set(text) - _LETTERS):
        raise ValueError(f"{text!r} holds {bad[0]!r}: only lower-case letters and spaces")
