from aura_core.evaluation.results import Row, read_results
from aura_core.report.figures import (
    ladder_panels,
    progress_panels,
    quality_panels,
    read_ttft_ms,
)
from aura_core.report.grid import build_slice_tables
from aura_core.report.history import History


def row(model, task, metric, value, cut=None):
    return Row(
        model=model, task=task, metric=metric, value=value, ci_low=value, ci_high=value, n=5,
        slice=cut,
    )  # fmt: skip


TTFT = [row("aura", "latency", "ttft_ms_p50", 70), row("cascade", "latency", "ttft_ms_p50", 300)]


def test_a_panel_a_benchmark_the_most_telling_first_and_no_more_than_six():
    tasks = {
        "transcribe/a": "wer", "transcribe/heldout": "wer", "respond/heldout": "exact_match",
        "spoken_choice": "acc", "spoken_facts": "exist_match", "bench1": "acc", "bench2": "acc",
    }  # fmt: skip
    rows = [row(m, t, metric, 0.5) for t, metric in tasks.items() for m in ("aura", "cascade")]
    panels = quality_panels([*rows, *TTFT], tasks)
    assert [panel.title for panel in panels] == [
        "heldout", "heldout", "bench1", "bench2", "Embedded: multiple choice", "Embedded: facts",
    ]  # fmt: skip


def test_no_panel_without_two_models_that_were_timed():
    rows = [row("aura", "spoken_choice", "acc", 0.5), row("asr", "spoken_choice", "acc", 0.5)]
    assert quality_panels([*rows, *TTFT], {"spoken_choice": "acc"}) == []
    assert quality_panels(rows, {"spoken_choice": "acc"}) == []


def test_hearing_in_training_is_drawn_where_it_was_measured_twice():
    def student(*wer):
        return History(
            [
                {"clips": 4, "elapsed_s": 2.0 * i, "validation": {"wer": w}}
                for i, w in enumerate(wer)
            ]
        )

    assert progress_panels({"aura": [student(0.5)], "joint": [History([])]}) == []
    panels = progress_panels({"aura": [student(0.5, 0.4), student(0.6, 0.3)], "joint": []})
    assert [panel.note for panel in panels] == ["against clips", "against seconds"]


def test_what_is_read_and_not_heard_has_no_panel():
    rows = [row(model, "text_choice", "acc", 0.5) for model in ("aura", "cascade")]
    assert quality_panels([*rows, *TTFT], {"text_choice": "acc"}) == []


def test_slices_without_an_order_have_no_chart():
    rows = [
        row("aura", "spoken_choice", "acc", 0.5, f"{key}={value}")
        for key, values in {"snr_db": (0, 5, 9), "voice": ("a", "b")}.items()
        for value in values
    ]
    tables = build_slice_tables(rows, {"spoken_choice": "acc"})
    assert len(tables) == 2
    (panel,) = ladder_panels(tables)
    assert (panel.title, panel.note) == ("Embedded: multiple choice", "Snr db · Accuracy")


def test_timings_are_in_the_order_of_the_columns(report_inputs):
    assert list(read_ttft_ms(report_inputs["evaluate"])) == ["aura", "cascade", "text"]
    assert read_results(report_inputs["evaluate"])
