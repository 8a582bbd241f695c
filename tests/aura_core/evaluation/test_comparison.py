import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.errors import AuraError
from aura_core.evaluation.comparison import compare_evaluations, score_models, unpaired
from aura_core.evaluation.results import Row, write_results
from aura_core.evaluation.scorers.scorer import Prediction, write_predictions
from aura_core.evaluation.scoring import SCORERS

SPOKEN = [f"word{i} and more" for i in range(20)]


def said(outputs, order=None):
    predictions = [
        Prediction(id=f"u{i}", references=(text,), prediction=output)
        for i, (text, output) in enumerate(zip(SPOKEN, outputs, strict=True))
    ]
    return [predictions[i] for i in order] if order else predictions


def compare(**by_model):
    return score_models("b", SCORERS["wer"], by_model, samples=200, seed=0)


def test_aura_is_compared_with_every_other_model_in_the_primary_metric():
    rows, found = compare(text=[said(SPOKEN)], aura=[said(SPOKEN)] * 2, cascade=[said([""] * 20)])
    assert [(row.model, row.value) for row in rows] == [("text", 0), ("aura", 0), ("cascade", 1)]
    assert [(d.model, d.other, d.task, d.metric, d.value, d.n) for d in found] == [
        ("aura", "text", "b", "wer", 0, 20),
        ("aura", "cascade", "b", "wer", -1, 20),
    ]
    assert (found[0].p_value, found[1].ci_high) == (1, -1)
    assert found[1].p_value < 0.05


def test_utterances_are_paired_by_id_and_not_by_position():
    half = [text if i % 2 else "" for i, text in enumerate(SPOKEN)]
    turned = said(half, order=list(reversed(range(20))))
    _, (found,) = compare(aura=[said(half)], text=[turned])
    assert (found.ci_low, found.value, found.ci_high) == (0, 0, 0)


def test_without_aura_there_is_nothing_to_compare():
    rows, found = compare(text=[said(SPOKEN)], cascade=[said(SPOKEN)])
    assert (len(rows), found) == (2, [])
    assert compare() == ([], [])


def test_models_that_were_asked_different_things_are_not_compared():
    with pytest.raises(AuraError, match="u19"):
        compare(aura=[said(SPOKEN)], text=[said(SPOKEN)[:-1]])
    with pytest.raises(AuraError, match="text answered an utterance twice"):
        compare(aura=[said(SPOKEN)], text=[said(SPOKEN, order=[*range(20), 3])])


def row(value=0.5, spread=0.1, task="transcribe/heldout", metric="wer", model="aura", n=20):
    return Row(
        model=model, task=task, metric=metric, value=value, ci_low=value - spread,
        ci_high=value + spread, n=n,
    )  # fmt: skip


@pytest.fixture
def evaluation(tmp_path):
    """An evaluation of a model that makes a mistake in some of its utterances."""

    def make(name, wrong, ids=range(20), rows=(), reference="turn it on"):
        uri = f"{tmp_path}/{name}"
        said = [
            Prediction(
                id=str(i), references=(reference,),
                prediction="no idea now" if i in wrong else reference,
            )
            for i in ids
        ]  # fmt: skip
        if said:
            write_predictions(f"{uri}/predictions/aura.heldout.transcribe.jsonl", said)
        write_results(uri, [row(len(wrong) / 20), *rows])
        write_manifest(
            uri,
            Manifest(stage="evaluate", stage_version=1, fingerprint=name, identity={}, inputs={},
                     files=[]),
        )  # fmt: skip
        return uri

    return make


def test_the_change_is_paired_over_the_same_utterances(evaluation):
    (found,) = compare_evaluations(evaluation("a", range(10)), evaluation("b", range(8)))
    assert found.change.value == pytest.approx(-0.1)
    assert found.change.n == 20
    assert found.note == ""
    # Both fail on the same: what is left is far surer than two intervals apart would say.
    apart = unpaired(found.first, found.second)
    assert found.change.high - found.change.low < 0.9 * (apart.high - apart.low + 0.05)
    assert 0 < found.change.p_value <= 1


def test_an_evaluation_against_itself_has_no_difference(evaluation):
    uri = evaluation("a", range(10))
    (found,) = compare_evaluations(uri, uri)
    assert (found.change.low, found.change.high, found.change.p_value) == (0, 0, 1)


def test_only_what_both_were_asked_is_paired(evaluation):
    first, second = evaluation("a", range(10)), evaluation("b", [], ids=range(5, 30))
    (found,) = compare_evaluations(first, second)
    assert found.change.n == 15
    assert found.change.value == pytest.approx(-5 / 15)
    assert "15 they share" in found.note


def test_nine_utterances_have_a_change_and_no_p_value(evaluation):
    uris = [evaluation(name, range(9), ids=range(n)) for name, n in (("a", 9), ("b", 20))]
    (found,) = compare_evaluations(*uris)
    assert (found.change.n, found.change.p_value) == (9, None)
    assert found.note == "change over the 9 they share, no p-value below n = 10"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"ids": range(20, 40)}, "share no utterance"),
        ({"reference": "another question"}, "share no utterance"),
        ({"ids": ()}, "no predictions"),
    ],
)
def test_what_cannot_be_paired_says_so(evaluation, other, reason):
    (found,) = compare_evaluations(evaluation("a", range(10)), evaluation("b", [], **other))
    assert reason in found.note
    assert found.change.p_value is None
    assert found.change.n is None
    assert found.change.value == -0.5


def test_figures_of_one_side_and_slices(evaluation):
    more = [row(task="latency", metric="ttft_ms_p50"), row(model="bridge"),
            row().model_copy(update={"slice": "voice=x"})]  # fmt: skip
    found = compare_evaluations(evaluation("a", []), evaluation("b", [], rows=more))
    assert [(f.task, f.model, f.first is None, f.change is None) for f in found] == [
        ("latency", "aura", True, True),
        ("transcribe/heldout", "aura", False, False),
        ("transcribe/heldout", "bridge", True, True),
    ]


def test_latency_is_compared_unpaired(evaluation):
    uris = [
        evaluation(name, [], rows=[row(ttft, 10, "latency", "ttft_ms_p50")])
        for name, ttft in (("a", 100), ("b", 70))
    ]
    found = compare_evaluations(*uris)[0]
    assert (found.metric, found.change.value) == ("ttft_ms_p50", -30)
    assert found.change.high == pytest.approx(-30 + 200**0.5)


def test_an_interval_of_both_intervals_takes_the_sides_that_face_each_other():
    first = Row(model="m", task="t", metric="x", value=1, ci_low=0.7, ci_high=1.4, n=1)
    second = Row(model="m", task="t", metric="x", value=3, ci_low=2.7, ci_high=3.9, n=1)
    change = unpaired(first, second)
    assert change.low == pytest.approx(2 - 0.5)
    assert change.high == pytest.approx(2 + (0.9**2 + 0.3**2) ** 0.5)
