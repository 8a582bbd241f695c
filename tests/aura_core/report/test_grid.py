from aura_core.evaluation.scorers.table import SCORERS
from aura_core.evaluation.table import Row
from aura_core.report.grid import METRICS, build_grid, models_in


def row(model, value, low, high, *of):
    metric, task = of or ("wer", "transcribe/heldout")
    return Row(model=model, task=task, metric=metric, value=value, ci_low=low, ci_high=high, n=9)


def figures(*rows):
    return build_grid(rows)[0].lines[0].figures


def test_the_better_of_the_rivals_is_marked_never_the_upper_bound():
    found = figures(
        row("text", 0.0, 0.0, 0.0), row("aura", 0.1, 0.05, 0.15), row("cascade", 0.3, 0.2, 0.4)
    )
    assert [m for m, figure in found.items() if figure.is_better] == ["aura"]
    assert found["aura"].is_clear


def test_overlapping_intervals_are_not_a_clear_win():
    found = figures(row("aura", 0.3, 0.1, 0.5), row("cascade", 0.2, 0.1, 0.4))
    assert found["cascade"].is_better
    assert not found["cascade"].is_clear


def test_more_is_better_for_exact_match():
    found = figures(
        row("aura", 0.9, 0.8, 1, "exact_match", "respond/heldout"),
        row("cascade", 0.2, 0.1, 0.3, "exact_match", "respond/heldout"),
    )
    assert found["aura"].is_better
    assert found["aura"].position == 0.9


def test_a_tie_or_a_missing_rival_marks_none():
    tie = figures(row("aura", 0.3, 0.1, 0.5), row("cascade", 0.3, 0.1, 0.5))
    alone = figures(row("aura", 0.3, 0.1, 0.5), row("text", 0.1, 0.1, 0.1))
    assert not any(figure.is_better for figure in [*tie.values(), *alone.values()])


def test_a_metric_has_one_scale_for_all_splits():
    lines = build_grid(
        [row("aura", 0.5, 0.2, 2.0), row("aura", 0.5, 0.1, 1.0, "wer", "transcribe/voice")]
    )[0].lines
    assert [line.figures["aura"].position for line in lines] == [0.25, 0.25]


def test_values_are_written_in_their_unit():
    wer = figures(row("aura", 0.1234, 0.1, 0.2))["aura"]
    ttft = figures(row("aura", 1234.4, 900, 2000, "ttft_ms_p50", "latency"))["aura"]
    assert (wer.value, ttft.value) == ("12.3", "1,234")


def test_models_metrics_and_splits_keep_their_order():
    rows = [
        row("text", 1, 1, 1), row("zebra", 1, 1, 1), row("aura", 1, 1, 1),
        row("aura", 1, 1, 1, "ttft_ms_p50", "latency"),
        row("aura", 1, 1, 1, "exact_match", "respond/heldout"),
    ]  # fmt: skip
    assert [model.name for model in models_in(rows)] == ["aura", "text", "zebra"]
    assert [s.lines[0].metric.unit for s in build_grid(rows)] == ["%", "%", "ms"]


def test_a_slice_has_a_line_of_its_own():
    whole = row("aura", 0.5, 0.2, 2.0)
    noisy = whole.model_copy(update={"slice": "snr_db=5", "value": 0.9})
    lines = build_grid([noisy, whole])[0].lines
    assert [(line.split, line.figures["aura"].value) for line in lines] == [
        ("heldout", "50.0"),
        ("heldout snr_db=5", "90.0"),
    ]


def test_a_metric_with_a_scale_of_its_own_is_no_percentage():
    bleu = figures(row("aura", 25.0, 20.0, 30.0, "bleu", "covost2"))["aura"]
    judge = figures(row("aura", 4.0, 3.5, 4.5, "judge_score", "alpacaeval"))["aura"]
    assert (bleu.value, bleu.position) == ("25.00", 0.25)
    assert (judge.value, judge.position) == ("4.00", 0.8)


def test_the_page_knows_every_metric_of_every_scorer():
    # Those that need somebody else to score are named by hand.
    found = {"pedant", "judge_score", "judge_fail", "slot_f1", "intent_accuracy"}
    for name in SCORERS.keys() - {"pedant", "judge"}:
        found |= SCORERS[name].score([]).keys()
    assert found <= METRICS.keys()
