from aura_core.evaluation.predictions import Prediction
from aura_core.report.answers import RIGHT, WRONG, build_answer


def choice(said):
    return Prediction(id="x", references=("B",), prediction=said, choices={"A": "red", "B": "sky"})


def test_a_choice_is_marked_by_its_score_and_its_letter_has_a_text():
    answer = build_answer(
        "spoken_choice", "Choose.", {"cascade": choice("A"), "aura": choice("B.")}
    )
    assert answer.reference == "B: sky"
    assert [(o.model.name, o.mark) for o in answer.outputs] == [("aura", RIGHT), ("cascade", WRONG)]
    assert [d.kind for o in answer.outputs for d in o.differences] == ["equal", "equal"]


def test_words_are_compared_where_words_are_asked_for():
    said = Prediction(id="x", references=("turn it on",), prediction="turn it off", transcript="t")
    output = build_answer("transcribe/heldout", "", {"aura": said}).outputs[0]
    assert [d.kind for d in output.differences] == ["equal", "substitute"]
    assert output.mark == ""
    assert output.transcript is None


def test_further_answers_are_kept_and_an_empty_one_is_nothing():
    said = Prediction(id="x", references=("six", "6"), prediction="")
    answer = build_answer("spoken_facts", "", {"aura": said})
    assert (answer.reference, answer.also) == ("six", ["6"])
    assert answer.outputs[0].differences == []
    assert answer.outputs[0].mark == WRONG


def test_what_is_graded_by_others_has_no_mark():
    said = Prediction(id="x", references=("what is wanted",), prediction="Well.")
    assert build_answer("voicebench_commoneval", "", {"aura": said}).outputs[0].mark == ""
