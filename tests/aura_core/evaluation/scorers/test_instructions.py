import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.instructions import score, variants


def item(answer, **instructions):
    extra = {
        "instruction_id_list": [name.replace("__", ":") for name in instructions],
        "kwargs": list(instructions.values()),
    }
    return Prediction(id="q1", references=("",), prediction=answer, extra=extra)


def values(*items):
    return {name: statistic.value for name, statistic in score(items).items()}


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
        score([broken])
    extra = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}, {}]}
    with pytest.raises(AuraError, match="q7: 1 instructions, 2 kwargs"):
        score([broken.model_copy(update={"extra": extra})])
    with pytest.raises(AuraError, match="keywords:rhyme"):
        score([item("a", keywords__rhyme={})])
