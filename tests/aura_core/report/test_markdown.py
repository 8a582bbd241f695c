from aura_core.evaluation.prediction_files import primary_metrics
from aura_core.evaluation.results import Difference, Results, Row, read_table
from aura_core.report.markdown import render_markdown


def test_values_differences_and_slices_are_tables(report_inputs):
    results = read_table(report_inputs["evaluate"])
    text = render_markdown(results, primary_metrics(results.rows), "demo", "f00d" * 16)
    assert "| heldout | 30.0 (15.0 to 36.0) | 10.0 (5.0 to 12.0) | 0.0 (0.0 to 0.0) | 12 |" in text
    assert "| heldout: Word error rate, points | +20.0 (+10.0 to +30.0; p = 0.010) |" in text
    assert "| voice: Word error rate, points | +20.0 (+10.0 to +30.0) |" in text, "no p of three"
    assert "## Embedded: multiple choice, by condition" in text
    assert "| noise 5 dB |" in text


def test_every_line_of_a_table_has_as_many_cells_whatever_names_say():
    hostile = "a|b `x` <i>\n## no heading"
    rows = [
        Row(model=model, task=f"transcribe/{hostile}", metric="wer", value=1, ci_low=1, ci_high=1,
            n=1)
        for model in ("aura", hostile)
    ]  # fmt: skip
    difference = Difference(
        model="aura", other=hostile, task=f"transcribe/{hostile}", metric="wer", value=1,
        ci_low=1, ci_high=1, p_value=1, n=1,
    )  # fmt: skip
    results = Results(rows=rows, differences=[difference])
    text = render_markdown(results, {}, hostile, "f00d")
    tables = [line for line in text.split("\n") if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables[:3]} == {5}
    assert {line.replace("\\|", "").count("|") for line in tables[3:]} == {3}
    assert "\n## no heading" not in text
    assert "<i>" not in text.replace("\\<i", "")


def test_no_figures_are_no_tables():
    assert "|" not in render_markdown(Results(rows=[]), {}, "demo", "f00d")


def test_pseudo_labels_are_named_above_the_tables():
    written = Results(rows=[], pseudo_labelled={"transcribe/heldout": "whisper:small"})
    assert written.note in render_markdown(written, {}, "demo", "f00d").replace("\\", "")
    assert "written by the ASR whisper:small" in written.note
