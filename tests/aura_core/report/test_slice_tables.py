import pytest

from aura_core.evaluation.results import Row
from aura_core.report.grid import build_slice_tables, find_ladders

PRIMARY = {"spoken_requests": "exact_match"}


def row(model, cut, value, metric="exact_match"):
    return Row(
        model=model, task="spoken_requests", metric=metric, value=value, ci_low=value,
        ci_high=value, n=7, slice=cut,
    )  # fmt: skip


def test_a_table_has_a_line_a_value_and_a_column_a_model():
    rows = [
        row(model, f"condition={value}", share)
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
        row("aura", None, 0.5),
        row("aura", "condition=clean", 0.5),
        row("aura", "family=a", 0.5, "slot_f1"),
        row("aura", "family=b", 0.5, "slot_f1"),
    ]
    assert build_slice_tables(rows, PRIMARY) == []


def test_a_value_may_hold_an_equals_sign():
    rows = [row("aura", "family=a=b", 0.1), row("aura", "family=c", 0.2)]
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
