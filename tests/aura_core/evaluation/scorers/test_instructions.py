import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.scorers.instructions import (
    CHECKS,
    count_sentences,
    follows,
    score_instructions,
    variants,
)
from aura_core.evaluation.scorers.scorer import Prediction

AT_LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
ENGLISH = "the quick brown fox jumps over the lazy dog and goes home"
# The detector needs more than a line to know a language written in capitals.
LONG = "I think that the best way to learn a language is to speak with people every day."

# instruction: kwargs, what follows it, what does not
CASES = {
    "keywords:existence": (
        {"keywords": ["fox", "Lazy dog"]}, ["A FOX, a lazy dog"], ["a fox", "lazy fox dog"],
    ),
    "keywords:frequency": (
        {"keyword": "a.b", "frequency": 2} | AT_LEAST, ["a.b A.B"], ["a.b", "axb axb"],
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": ["cat", "C"]}, ["concatenate"], ["a Cat.", "vitamin c"],
    ),
    "keywords:letter_frequency": (
        {"letter": "E", "let_frequency": 2, "let_relation": "less than"}, ["Eh", "no"], ["eE"],
    ),
    "language:response_language": (
        {"language": "de"}, ["Das ist ein schöner Tag und wir gehen nach Hause."], [ENGLISH],
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 2} | LESS, ["One.", "Dr. J. Smith came"], ["One. Two.", "One? Two"],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2},
        ["a\n***\nb", "*** a *** b ***"], ["a", "a\n\nb", "a****** b", "a***b***c"],
    ),
    "length_constraints:number_words": (
        {"num_words": 3} | AT_LEAST, ["one, two three", "it's one"], ["one two", "- - - -"],
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Well"},
        ["a\n\nwell, yes", 'a\n\n"Well" b'],
        ["well", "well\n\na", "a\n\nwelling", "a\n\nwell\n\nb"],
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": 2}, ["[name], [street]"], ["[name]", "(a) (b)", "[a\nb] [c]"],
    ),
    "detectable_content:postscript": (
        {"postscript_marker": "P.S."}, ["Bye.\nP.S. more", "bye p. s. more"], ["PS more", "steps"],
    ),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2}, ["* a\n* b", "- a\n  * b"], ["* a", "* a\n* b\n* c", "**a**\n**b**"],
    ),
    "detectable_format:constrained_response": (
        {}, ["My answer is maybe."], ["My answer is perhaps.", "my answer is yes"],
    ),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2}, ["*a* and **b**", "*a* *b*"], ["*a*", "**", "* * *", "*a\nb* *"],
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb"], ["SECTION 1", "Section 1 Section 2", "SECTION A SECTION B"],
    ),
    "detectable_format:json_format": (
        {}, ['{"a": 1}', '```json\n[1]\n```', "```\n2\n```"], ["{'a': 1}", "a", '{"a": 1} ok'],
    ),
    "detectable_format:title": ({}, ["<<poem>>\nx"], ["<poem>", "<< >>", "<<po\nem>>"]),
    "combination:two_responses": (
        {}, ["a\n******\nb", "******a******b"], ["a", "a ****** a", "a******b******c"],
    ),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": "Say hi."}, ["say hi. Hi!", " Say hi."], ["Sure. Say hi.", "Say"],
    ),
    "startend:end_checker": (
        {"end_phrase": "The End "}, ["x the end", '"x the end"'], ["the end.", "the end x"],
    ),
    "startend:quotation": ({}, ['"a"', ' "a b" '], ["a", '"a', '"', "'a'"]),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["GO NOW", "TOP-NOTCH I say"], ["GO now", "Go Now"],
    ),
    "change_case:english_capital": ({}, [LONG.upper()], [ENGLISH, "DAS IST EIN SCHÖNER TAG"]),
    "change_case:english_lowercase": (
        {}, [ENGLISH], [ENGLISH.title(), "das ist ein schöner tag und wir gehen nach hause"],
    ),
    "punctuation:no_comma": ({}, ["a b; c"], ["a, b"]),
}  # fmt: skip


def test_there_is_a_case_for_each_of_the_25():
    assert CASES.keys() == CHECKS.keys()
    assert len(CASES) == 25


@pytest.mark.parametrize("name", CASES)
def test_a_check_tells_right_from_wrong(name):
    arguments, right, wrong = CASES[name]
    assert [r for r in right if not follows(name, r, arguments)] == []
    assert [r for r in wrong if follows(name, r, arguments)] == []


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_response_follows_nothing(name, empty):
    assert not follows(name, empty, CASES[name][0])


def test_arguments_that_are_null_are_as_good_as_absent():
    assert follows("punctuation:no_comma", "a b", {"num_words": None, "relation": None})
    with pytest.raises(AuraError, match=r"number_words' lacks 'relation' in its kwargs"):
        follows("length_constraints:number_words", "a", {"num_words": 3, "relation": None})


def test_what_is_not_known_is_named():
    with pytest.raises(AuraError, match="no check of the instruction 'keywords:rhyme'"):
        follows("keywords:rhyme", "a", {})
    with pytest.raises(AuraError, match="no relation 'at most'"):
        follows("length_constraints:number_words", "a", {"num_words": 3, "relation": "at most"})


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0), ("...", 0), ("One", 1), ("One. Two! Three?", 3), ("Really?! Yes...", 2),
        ("Dr. Smith met J. Doe at 3.5 p.m. today.", 1), ('He said "go." Then he left.', 2),
        ("See example.com. It works, e.g. here.", 2), ("**Bold.** Plain", 2),
    ],
)  # fmt: skip
def test_sentences_are_counted(text, sentences):
    assert count_sentences(text) == sentences


def test_the_language_of_a_text_is_always_the_same():
    # Short enough for the detector to be torn between languages.
    found = {follows("language:response_language", "no idea", {"language": "it"}) for _ in range(9)}
    assert len(found) == 1


def item(answer, **instructions):
    extra = {
        "instruction_id_list": [name.replace("__", ":") for name in instructions],
        "kwargs": list(instructions.values()),
    }
    return Prediction(id="q1", references=("",), prediction=answer, extra=extra)


def values(*items):
    return {name: statistic.value for name, statistic in score_instructions(items).items()}


def test_prompts_and_instructions_are_counted_apart():
    both = {"punctuation__no_comma": {}, "startend__quotation": {}}
    assert values(item('"a b"', **both), item("a b", **both), item("a, b", **both)) == {
        "prompt_strict": pytest.approx(1 / 3),
        "prompt_loose": pytest.approx(1 / 3),
        "instruction_strict": pytest.approx(3 / 6),
        "instruction_loose": pytest.approx(3 / 6),
    }


@pytest.mark.parametrize(
    "answer", ['Sure, here it is:\n"a"', '"a"\nAnything else?', 'Sure:\n"a"\nBye', '**"a"**']
)
def test_loose_forgives_an_introduction_a_farewell_and_asterisks(answer):
    found = values(item(answer, startend__quotation={}))
    assert (found["prompt_strict"], found["prompt_loose"]) == (0, 1)


@pytest.mark.parametrize("answer", ["", "\n", "*\n*"])
def test_an_empty_answer_follows_nothing_however_loosely(answer):
    assert values(item(answer, startend__quotation={}))["prompt_loose"] == 0


def test_there_are_eight_variants_as_published():
    found = variants("a\n*b*\nc")
    assert found[:4] == ["a\n*b*\nc", "*b*\nc", "a\n*b*", "*b*"]
    assert found[4:] == [text.replace("*", "") for text in found[:4]]


def test_an_item_without_instructions_is_named():
    broken = Prediction(id="q7", references=("",), prediction="a")
    with pytest.raises(AuraError, match="q7 has no instruction_id_list and kwargs"):
        score_instructions([broken])
    extra = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}, {}]}
    with pytest.raises(AuraError, match="q7: 1 instructions, 2 kwargs"):
        score_instructions([broken.model_copy(update={"extra": extra})])
    with pytest.raises(AuraError, match="keywords:rhyme"):
        score_instructions([item("a", keywords__rhyme={})])
