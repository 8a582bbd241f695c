import pytest

from aura_core.evaluation.results import Row
from aura_core.report.grid import build_grid, build_slice_tables, find_ladders


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


PRIMARY = {"spoken_requests": "exact_match"}


def sliced_row(model, cut, value, metric="exact_match"):
    return Row(
        model=model, task="spoken_requests", metric=metric, value=value, ci_low=value,
        ci_high=value, n=7, slice=cut,
    )  # fmt: skip


def test_a_table_has_a_line_a_value_and_a_column_a_model():
    rows = [
        sliced_row(model, f"condition={value}", share)
        for model, share in (("cascade", 0.5), ("aura", 0.25))
        for value in ("fast", "clean", "noise 0 dB", "noise 10 dB", "unknown", "noise 5 dB")
    ]
    (table,) = build_slice_tables(rows, PRIMARY)
    assert [model.name for model in table.models] == ["aura", "cascade"]
    assert [line.value for line in table.lines] == [
        "clean", "fast", "noise 0 dB", "noise 5 dB", "noise 10 dB", "unknown",
    ]  # fmt: skip
    assert table.lines[0].n == 7
    assert table.lines[0].figures["cascade"].value == "50.0"
    (ladder,) = table.ladders
    assert ladder.steps == ["clean", "noise 10 dB", "noise 5 dB", "noise 0 dB"]
    assert ladder.rows[0].keys() == {"aura", "cascade"}


def test_other_metrics_whole_rows_and_keys_of_one_value_are_left_out():
    rows = [
        sliced_row("aura", None, 0.5),
        sliced_row("aura", "condition=clean", 0.5),
        sliced_row("aura", "family=a", 0.5, "slot_f1"),
        sliced_row("aura", "family=b", 0.5, "slot_f1"),
    ]
    assert build_slice_tables(rows, PRIMARY) == []


def test_a_value_may_hold_an_equals_sign():
    rows = [sliced_row("aura", "family=a=b", 0.1), sliced_row("aura", "family=c", 0.2)]
    assert [line.value for line in build_slice_tables(rows, PRIMARY)[0].lines] == ["a=b", "c"]


@pytest.mark.parametrize(
    ("key", "values", "ladders"),
    [
        ("snr_db", ["0", "10", "20", "clean"], {"snr db": ["clean", "20", "10", "0"]}),
        ("snr_db", ["-5", "10", "0"], {"snr db": ["10", "0", "-5"]}),
        ("speech_rate", ["0.80", "1.25", "1.00"], {"speech rate": ["0.80", "1.00", "1.25"]}),
        ("length", ["<2 s", "2-5 s", ">15 s"], {"length": ["<2 s", "2-5 s", ">15 s"]}),
        ("length", ["<2 s", "2-5 s"], {}),
        ("condition", ["clean", "fast", "slow"], {}),
        ("snr_db", ["10", "20", "clean"], {}),
        ("family", ["a 1 2", "a 2 2", "a 3 2"], {}),
    ],
)
def test_a_ladder_needs_three_values_that_differ_in_their_number_alone(key, values, ladders):
    assert find_ladders(key, values) == ladders
