from aura_core.evaluation.results import Row
from aura_core.report.grid import build_grid


def row(model, value, low, high, *of):
    metric, task = of or ("wer", "transcribe/heldout")
    return Row(model=model, task=task, metric=metric, value=value, ci_low=low, ci_high=high, n=10)


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


def test_nothing_is_marked_below_ten_utterances():
    rows = [row("aura", 0.1, 0.0, 0.1), row("cascade", 0.9, 0.8, 1.0)]
    assert figures(*rows)["aura"].is_clear
    for few in (rows[0], rows[1]):
        nine = [each.model_copy(update={"n": 9}) if each is few else each for each in rows]
        assert not any(each.is_better or each.is_clear for each in figures(*nine).values())


def test_a_metric_has_one_scale_for_all_splits():
    lines = build_grid(
        [row("aura", 0.5, 0.2, 2.0), row("aura", 0.5, 0.1, 1.0, "wer", "transcribe/voice")]
    )[0].lines
    assert [line.figures["aura"].position for line in lines] == [0.25, 0.25]


def test_metrics_of_the_corpus_come_first_then_benchmarks_then_latency():
    rows = [
        row("aura", 1, 1, 1, "ttft_ms_p50", "latency"),
        row("aura", 1, 1, 1, "parse_fail", "spoken_choice"),
        row("aura", 1, 1, 1, "acc", "spoken_choice"),
        row("aura", 1, 1, 1, "exact_match", "respond/heldout"),
        row("aura", 1, 1, 1, "wer", "transcribe/voice"),
        row("aura", 1, 1, 1),
    ]  # fmt: skip
    groups = build_grid(rows)
    assert [[line.label for line in group.lines] for group in groups] == [
        ["heldout", "voice"],
        ["heldout"],
        ["Accuracy", "Answers not parsed"],
        ["Time to first token, median"],
    ]
    assert [group.title for group in groups] == [
        "Word error rate", "Exact match", "Embedded: multiple choice", "Time to first token",
    ]  # fmt: skip


def test_a_benchmark_nobody_knows_stands_under_its_own_name():
    assert build_grid([row("aura", 1, 1, 1, "acc", "mine")])[0].title == "mine"


def test_slices_are_shown_elsewhere():
    whole = row("aura", 0.5, 0.2, 2.0)
    noisy = whole.model_copy(update={"slice": "snr_db=5", "value": 0.9})
    assert [line.figures["aura"].value for line in build_grid([noisy, whole])[0].lines] == ["50.0"]
    assert build_grid([noisy]) == []


def test_a_bridge_that_is_best_is_marked_as_such():
    found = figures(
        row("aura", 0.3, 0.2, 0.4), row("cascade", 0.2, 0.1, 0.3), row("bridge", 0.01, 0.0, 0.02)
    )
    assert [m for m, figure in found.items() if figure.is_better] == ["bridge"]
    assert found["bridge"].is_clear


def test_a_figure_beyond_the_scale_stays_on_it():
    found = figures(row("aura", 1.2, -0.1, 1.4, "acc", "spoken_choice"))["aura"]
    assert (found.low, found.position, found.high) == (0, 1, 1)
