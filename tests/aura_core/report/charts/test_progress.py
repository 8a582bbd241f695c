"""The chart of hearing in the course of training."""

from aura_core.report.charts.progress import progress_chart


def test_every_seed_has_a_line_and_every_model_one_name():
    falling = [(0.0, 1.0), (16.0, 0.5), (32.0, 0.25)]
    svg = progress_chart({"aura": [falling, falling], "joint": [falling]}, "clips", "wer")
    # A line of three points each, and one in the legend for each model.
    assert svg.count("stroke: var(--aura)") > svg.count("stroke: var(--other")
    assert svg.count(">AuRA<") == 1
    assert svg.count(">joint<") == 1
    assert ">clips<" in svg
    assert ">WER, clips kept out<" in svg
