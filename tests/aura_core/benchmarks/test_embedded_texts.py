import pytest

from aura_core.benchmarks.embedded_texts import SOURCES, TEXTS, source_text, texts_of
from aura_core.config.run import DemoCorpusConfig
from aura_core.ingest.grammar import grammar_text, parse_grammar, plan_corpus


@pytest.mark.parametrize("name", TEXTS)
def test_every_question_has_an_id_of_its_own_and_something_to_say(name):
    texts = texts_of(name)
    assert len(texts) >= 20
    assert len({text.id for text in texts}) == len({text.text for text in texts}) == len(texts)
    assert all(text.text.strip() == text.text != "" for text in texts)


@pytest.mark.parametrize("name", TEXTS)
def test_a_source_pins_what_is_said(name):
    assert SOURCES.keys() == TEXTS.keys()
    assert len(source_text(name)) > 500


def test_the_right_option_is_spoken_and_stands_anywhere():
    questions = texts_of("spoken_choice")
    for question in questions:
        (letter,) = question.references
        assert f"Option {letter}, {question.choices[letter]}" in question.text
        assert list(question.choices) == ["A", "B", "C", "D"]
        assert len(set(question.choices.values())) == 4
    letters = [question.references[0] for question in questions]
    assert all(letters.count(letter) >= 4 for letter in "ABCD")


def test_no_request_is_a_sentence_of_the_demo_corpus_s_training():
    train = {
        each.sentence.text
        for each in plan_corpus(parse_grammar(grammar_text()), DemoCorpusConfig())
        if each.split == "train"
    }
    assert not train & {text.text for text in texts_of("spoken_requests")}


def test_an_instruction_has_checks_with_their_settings():
    for text in texts_of("spoken_instructions"):
        names, settings = text.extra["instruction_id_list"], text.extra["kwargs"]
        assert len(names) == len(settings) >= 1
        assert text.references == ("; ".join(names),)


def test_what_is_read_is_what_is_spoken_with_its_options_in_lines():
    spoken, read = texts_of("spoken_choice"), texts_of("text_choice")
    assert [each.references for each in read] == [each.references for each in spoken]
    question, *options = read[0].text.splitlines()
    assert spoken[0].text.startswith(question)
    assert options == [f"{letter}. {text}" for letter, text in read[0].choices.items()]
    assert texts_of("text_instructions") == texts_of("spoken_instructions")
