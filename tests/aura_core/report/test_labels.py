import pytest

from aura_core.evaluation.scoring import SCORERS
from aura_core.report.charts import colour
from aura_core.report.labels import (
    METRICS,
    MODELS,
    benchmark_title,
    difference_unit,
    format_difference,
    format_value,
    metric_of,
    model_label,
    models_in,
    preferred_split,
)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("wer", 0.1234, "12.3"), ("ttft_ms_p50", 1234.4, "1,234"), ("bleu", 31.26, "31.3"),
     ("judge_score", 3.456, "3.46"), ("mine", 0.5, "50.0")],
)  # fmt: skip
def test_values_are_written_in_their_unit(metric, value, text):
    assert format_value(value, metric_of(metric)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123, "+12.3"), (-0.123, "\N{MINUS SIGN}12.3"), (0.0, "0.0"), (-0.0004, "0.0")],
)
def test_differences_have_a_sign_unless_they_are_nothing(value, text):
    assert format_difference(value, metric_of("wer")) == text


def test_a_difference_of_shares_is_in_points():
    assert difference_unit(metric_of("wer")) == "points"
    assert difference_unit(metric_of("ttft_ms_p50")) == "ms"


def test_the_page_knows_every_metric_of_every_scorer():
    # Those that need somebody else to score are named by hand.
    found = {"pedant", "judge_score", "judge_fail", "slot_f1", "intent_accuracy"}
    for name in SCORERS.keys() - {"pedant", "judge"}:
        found |= SCORERS[name].score([]).keys()
    assert found <= METRICS.keys()


def test_models_keep_their_order_and_strangers_come_last_with_a_colour_of_the_page():
    found = models_in(["zebra", "text", "aura", "text"])
    assert [model.name for model in found] == ["aura", "text", "zebra"]
    assert colour(found[2].colour) != colour("muted")
    assert model_label("zebra") == model_label("zebra")
    assert all(colour(label.colour) != colour("muted") for label in MODELS.values())


def test_a_task_is_called_by_its_split_or_its_benchmark():
    assert benchmark_title("respond/heldout") == "heldout"
    assert benchmark_title("spoken_choice") == "Embedded: multiple choice"
    assert benchmark_title("transcribe/spoken_choice") == "Embedded: multiple choice"
    assert benchmark_title("mine") == "mine"


def test_the_split_that_says_most():
    assert preferred_split(["voice", "heldout"]) == "heldout"
    assert preferred_split(["b", "a"]) == "a"
