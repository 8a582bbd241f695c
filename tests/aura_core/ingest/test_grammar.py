from collections import defaultdict

import pytest
from piper.phonemize_espeak import EspeakPhonemizer

from aura_core.config.run import DemoCorpusConfig
from aura_core.errors import AuraError
from aura_core.ingest.grammar import (
    distinct_words,
    english_words,
    grammar_text,
    is_drawn,
    parse_grammar,
    plan_corpus,
    random_words,
    sentences,
    words_of,
)


def test_no_two_words_that_can_be_drawn_sound_alike():
    phonemizer = EspeakPhonemizer()
    heard = defaultdict(set)
    for word in distinct_words(words_of(parse_grammar(grammar_text())) | set(english_words())):
        # Spoken alone, a short word is stressed as it is in no sentence.
        [phonemes] = phonemizer.phonemize("en-us", f"the {word}")
        heard["".join(phonemes).translate(str.maketrans("", "", "ˈˌː"))].add(word)
    assert [words for words in heard.values() if len(words) > 1] == []


def test_the_list_is_what_it_says():
    words = english_words()
    assert len(words) == len(set(words)) > 1600
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_a_share_is_spread_evenly(share):
    chosen = [is_drawn(number, share) for number in range(1000)]
    assert sum(chosen) == pytest.approx(1000 * share, abs=1)
    assert sum(chosen[:100]) == pytest.approx(100 * share, abs=1)


def test_a_sentence_depends_on_its_key_and_is_never_a_taken_one():
    words = ["red", "green", "blue"]
    first = random_words(words, "0:1", set())
    assert random_words(words, "0:1", set()) == first
    again = random_words(words, "0:1", {first})
    assert again != first
    assert set(again.split()) <= set(words)
    assert {len(random_words(words, str(key), set()).split()) for key in range(200)} == {
        3, 4, 5, 6, 7,
    }  # fmt: skip


GRAMMAR = parse_grammar(grammar_text())
CORPUS = plan_corpus(GRAMMAR, DemoCorpusConfig())


def texts(split):
    return [utterance.sentence.text for utterance in CORPUS if utterance.split == split]


def test_the_corpus_is_no_toy():
    words = {word for utterance in CORPUS for word in utterance.sentence.text.split()}
    assert 200 <= len(words) <= 300
    assert len(GRAMMAR.families) >= 12
    lengths = [len(text.split()) for text in texts("train")]
    assert 5 < sum(lengths) / len(lengths) < 8


def test_no_test_sentence_is_in_train():
    config = DemoCorpusConfig()
    for split in ("heldout", "phrasing", "voice"):
        assert len(texts(split)) == getattr(config, f"{split}_utterances")
        assert not set(texts(split)) & set(texts("train"))
    assert not set(texts("voice")) & set(texts("heldout"))
    assert len({utterance.id for utterance in CORPUS}) == len(CORPUS)


def test_phrasing_split_holds_only_held_out_phrasings():
    held_out = {p for family in GRAMMAR.families.values() for p in family.held_out}
    for utterance in CORPUS:
        assert (utterance.sentence.phrasing in held_out) == (utterance.split == "phrasing")
    families = {u.sentence.family for u in CORPUS if u.split == "phrasing"}
    assert len(families) >= 5


def test_train_covers_every_word_and_slot_value():
    train = [utterance.sentence for utterance in CORPUS if utterance.split == "train"]
    used = {(s.family, *slot) for s in train for slot in s.slots}
    possible = {
        (intent, slot, value)
        for intent, family in GRAMMAR.families.items()
        for slot, values in family.slots.items()
        for value in GRAMMAR.values[values]
    }
    assert used == possible
    assert {s.phrasing for s in train} == {
        p for family in GRAMMAR.families.values() for p in family.phrasings
    }
    words = {word for utterance in CORPUS for word in utterance.sentence.text.split()}
    assert words == {word for text in texts("train") for word in text.split()}


def test_order_depends_on_the_seed_alone():
    assert plan_corpus(GRAMMAR, DemoCorpusConfig()) == CORPUS
    assert plan_corpus(GRAMMAR, DemoCorpusConfig(seed=1)) != CORPUS


def test_meaning_names_slots_in_order():
    [sentence, *_] = sentences(GRAMMAR, "switch", "please turn the {room} {item} {state}")
    assert sentence.text == "please turn the kitchen lamp on"
    assert sentence.meaning == "switch; state=on; room=kitchen; item=lamp"


def mixed(**settings):
    corpus = plan_corpus(GRAMMAR, DemoCorpusConfig(**settings))
    return [u for u in corpus if u.split == "train"], [u for u in corpus if u.split != "train"]


def test_random_words_take_the_share_of_training_they_are_given():
    train, tests = mixed(random_words_share=0.25)
    drawn = [u.sentence for u in train if u.sentence.family is None]
    assert (len(train), len(drawn)) == (2000, 500)
    assert tests == [u for u in CORPUS if u.split != "train"]
    assert all(s.meaning is None and 3 <= len(s.text.split()) <= 7 for s in drawn)
    assert {word for s in drawn for word in s.text.split()} <= words_of(GRAMMAR)
    # The requests are the first of those that would be there without them.
    requests = [u.sentence for u in train if u.sentence.family is not None]
    assert requests == [u.sentence for u in CORPUS if u.split == "train"][:1500]
    assert mixed(random_words_share=0.25)[0] == train
    assert mixed(random_words_share=0.25, seed=1)[0] != train


def test_noise_takes_its_share_and_leaves_what_is_said_as_it_would_be():
    said = {"random_words_share": 0.25}
    train, tests = mixed(noise_share=0.03, **said)
    assert [u.sentence.text == "" for u in train].count(True) == 60
    assert tests == [u for u in CORPUS if u.split != "train"]
    spoken = [u.sentence for u in train if u.sentence.text]
    assert spoken == [u.sentence for u in mixed(**said)[0]][:1940]
    assert all(u.sentence.meaning is None for u in train if not u.sentence.text)
    # Spread evenly, so that every part of the corpus has some.
    assert all("" in {u.sentence.text for u in train[i : i + 50]} for i in range(0, 2000, 50))


def test_english_words_come_beside_those_of_the_grammar():
    train, _ = mixed(random_words_share=1.0, random_words="english")
    words = {word for u in train for word in u.sentence.text.split()}
    assert {"kitchen", "elephant"} <= words
    assert len(words) > 1500


def test_random_words_never_make_a_test_sentence():
    tiny = parse_grammar(
        "values: {n: [one, two, three]}\nfamilies: {count: {slots: {a: n, b: n, c: n}, "
        "phrasings: ['{a} {b} {c}'], held_out: ['{a} {b} {c} two']}}"
    )
    config = DemoCorpusConfig(
        train_utterances=3000, heldout_utterances=4, phrasing_utterances=20, voice_utterances=4,
        random_words_share=0.9,
    )  # fmt: skip
    corpus = plan_corpus(tiny, config)
    train = {u.sentence.text for u in corpus if u.split == "train"}
    assert len(train & {u.sentence.text for u in corpus if u.split != "train"}) == 0


def test_small_corpus_repeats_no_test_sentence():
    tiny = parse_grammar(
        "values: {n: [one, two, three, four, five, six, seven, eight, nine, ten]}\n"
        "families: {count: {slots: {a: n, b: n}, phrasings: ['{a} and {b}'], "
        "held_out: ['{b} after {a}']}}"
    )
    config = DemoCorpusConfig(
        train_utterances=300, heldout_utterances=10, phrasing_utterances=10, voice_utterances=10
    )
    corpus = plan_corpus(tiny, config)
    train = [u for u in corpus if u.split == "train"]
    assert len(train) == 300
    tested = {u.sentence.text for u in corpus if u.split != "train"}
    assert not tested & {u.sentence.text for u in train}
    with pytest.raises(AuraError, match="test sentences"):
        plan_corpus(tiny, config.model_copy(update={"heldout_utterances": 90}))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("values: {a: [x]}\nfamilies: {f: {slots: {s: b}, phrasings: ['{s}']}}", "not in values"),
        ("values: {a: [x]}\nfamilies: {f: {slots: {s: a}, phrasings: ['{t}']}}", "not a slot"),
        ("values: {a: [X]}\nfamilies: {}", "lower-case"),
        ("values: {a: [x]}\nfamilies: {f: {slots: {s: a}, phrasings: []}}", "needs a phrasing"),
        ("values: {a: [one, one]}\nfamilies: {}", "not distinct"),
        ("values: [", "grammar"),
    ],
)
def test_mistakes_are_named(text, complaint):
    with pytest.raises(AuraError, match=complaint):
        parse_grammar(text)
