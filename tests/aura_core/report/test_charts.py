import re
import xml.etree.ElementTree as ET

import pytest

from aura_core.evaluation.results import Row
from aura_core.report.charts import (
    INK,
    Point,
    canvas,
    colour,
    ladder_chart,
    latency_chart,
    progress_chart,
    quality_chart,
    style,
    svg_text,
)
from aura_core.report.grid import Ladder
from aura_core.report.labels import metric_of


def test_a_figure_has_no_colour_size_or_rule_of_its_own():
    with style("one"):
        figure, axes = canvas()
        axes.plot([0, 1], [0, 1], color=colour("other-3"))
        axes.text(0, 0, "x", color=INK)
        svg = svg_text(figure, "one")
    assert "var(--other-3)" in svg
    assert "var(--ink)" in svg
    assert not re.search("#0a0b|<style|<metadata|<svg[^>]* width=", svg)


def test_a_colour_the_page_does_not_have_is_the_muted_one():
    assert colour("nothing") == colour("muted")


def step(**values):
    return {
        model: Row(model=model, task="t", metric="wer", value=v, ci_low=v, ci_high=v + 0.1, n=5)
        for model, v in values.items()
    }


def test_every_step_and_model_is_drawn_even_where_one_has_no_figure():
    ladder = Ladder(
        "noise", ["clean", "20", "0"],
        [step(aura=0.1, cascade=0.2), step(aura=0.3), step(aura=0.9, cascade=0.8)],
        metric_of("wer"),
    )  # fmt: skip
    svg = ladder_chart(ladder, "noise")
    assert all(f">{name}<" in svg for name in ladder.steps)
    assert "var(--aura)" in svg
    assert "var(--cascade)" in svg


def test_the_latency_chart_names_the_models_and_shows_the_median():
    svg = latency_chart({"aura": [100, 300, 1200], "qwen_audio": [7]}, "ttft")
    ET.fromstring(svg)
    assert "300 ms" in svg
    assert "AuRA" in svg
    assert "qwen_audio" in svg
    assert "var(--aura)" in svg


def test_every_seed_has_a_line_and_every_model_one_name():
    falling = [(0.0, 1.0), (16.0, 0.5), (32.0, 0.25)]
    svg = progress_chart({"aura": [falling, falling], "joint": [falling]}, "clips", "wer")
    # A line of three points each, and one in the legend for each model.
    assert svg.count("stroke: var(--aura)") > svg.count("stroke: var(--other")
    assert svg.count(">AuRA<") == 1
    assert svg.count(">joint<") == 1
    assert ">clips<" in svg
    assert ">WER, clips kept out<" in svg


SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


def row(model, metric, value, spread):
    return Row(
        model=model, task="t", metric=metric, value=value, ci_low=value - spread,
        ci_high=value + spread, n=9,
    )  # fmt: skip


def points(metric, **values):
    return {
        model: Point(row(model, "ttft_ms_p50", ttft, ttft / 10), row(model, metric, value, 0.05))
        for model, (ttft, value) in values.items()
    }


def names(svg):
    """Where the texts stand: name -> (x, y)."""
    found = {}
    for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        place = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", text.get("transform", ""))
        x, y = place.groups() if place else (text.get("x"), text.get("y"))
        found[text.text] = (float(x), float(y))
    return found


def test_better_is_up_whether_the_metric_counts_errors_or_hits():
    errors = names(quality_chart(points("wer", aura=(70, 0.1), cascade=(300, 0.5)), "a"))
    hits = names(quality_chart(points("acc", aura=(70, 0.9), cascade=(300, 0.5)), "b"))
    for found in (errors, hits):
        assert found["AuRA"][1] < found["Cascade"][1]
        assert found["AuRA"][0] < found["Cascade"][0]


def test_names_of_models_that_lie_on_one_another_stay_apart():
    crowd = dict.fromkeys(("aura", "bridge", "cascade", "text", "qwen_audio"), (100, 0.5))
    svg = quality_chart(points("acc", **crowd), "crowd")
    found = names(svg)
    lines = {found[name] for name in ("AuRA", "Bridge", "Cascade", "Text in", "qwen_audio")}
    assert len(lines) == 5
    width, height = map(float, SIZE.search(svg).groups())
    assert all(0 <= x <= width and 0 <= y <= height for x, y in lines)


def test_times_that_are_far_apart_get_a_logarithmic_axis():
    found = names(quality_chart(points("acc", aura=(30, 0.9), huge=(9000, 0.5)), "log"))
    assert {"100", "1,000", "10,000"} <= found.keys()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_point_without_an_interval_at_either_end_of_the_scale(value):
    exact = Point(row("aura", "ttft_ms_p50", 50, 0), row("aura", "acc", value, 0))
    assert "AuRA" in quality_chart({"aura": exact}, "end")
