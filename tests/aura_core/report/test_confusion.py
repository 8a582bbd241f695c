from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.report.confusion import REST, UNKNOWN, build_confusions, count_intents
from aura_core.report.labels import model_label

AURA = model_label("aura")


def prediction(number, reference, said):
    return Prediction(id=str(number), references=(reference,), prediction=said)


def counts(matrix):
    return {
        (row, column): cell.count
        for row, cells in matrix.rows.items()
        for column, cell in zip(matrix.columns, cells, strict=True)
        if cell.count
    }


def test_intents_are_counted_by_what_was_meant_and_what_was_said():
    said = [("alarm; at=six", "Alarm; at=nine"), ("alarm; at=six", "timer"), ("timer", "banana")]
    matrix = count_intents(AURA, [prediction(i, *pair) for i, pair in enumerate(said)])
    assert counts(matrix) == {
        ("alarm", "alarm"): 1, ("alarm", "timer"): 1, ("timer", UNKNOWN): 1,
    }  # fmt: skip
    assert (matrix.right, matrix.total) == (1, 3)
    assert [cell.share for cell in matrix.rows["alarm"]] == [0.5, 0.5, 0]


def test_of_many_intents_the_rare_ones_stand_together_and_none_is_lost():
    said = [(f"i{n}", f"i{n}") for n in range(30) for _ in range(30 - n)]
    matrix = count_intents(AURA, [prediction(i, *pair) for i, pair in enumerate(said)])
    assert len(matrix.rows) == 21
    assert sum(counts(matrix).values()) == len(said) == matrix.right
    assert counts(matrix)[REST, REST] == sum(range(1, 11))


def test_joints_of_words_count_where_the_score_says_so():
    both = [prediction(0, "set_alarm", "set alarm")]
    assert count_intents(AURA, both).right == 0
    assert count_intents(AURA, both, any_joint=True).right == 1


def test_only_sets_with_intents_and_models_that_hear():
    meant = {"0": prediction(0, "alarm; at=six", "alarm"), "1": prediction(1, "timer; n=1", "x")}
    free = {"0": prediction(0, "It is late.", "late")}
    answers = {
        "respond/heldout": {"aura": [meant, meant], "text": [meant], "cascade": [meant]},
        "respond/free": {"aura": [free]},
        "transcribe/heldout": {"aura": [meant]},
        "mine": {"aura": [meant]},
    }
    (confusion,) = build_confusions(answers)
    assert confusion.title == "heldout"
    assert {m.model.name: m.total for m in confusion.matrices} == {"aura": 4, "cascade": 2}
