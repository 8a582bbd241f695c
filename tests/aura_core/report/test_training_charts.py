import re
import xml.etree.ElementTree as ET

import pytest

from aura_core.report import training_charts as charts
from aura_core.report.history import read_history


@pytest.fixture
def distil(report_inputs):
    return read_history(report_inputs["distil"])


def test_charts_take_their_colours_from_the_page(distil):
    for svg in (
        charts.loss_chart(distil, "loss"),
        charts.block_chart(distil, "blocks"),
    ):
        ET.fromstring(svg)
        assert "var(--aura)" in svg
        assert "#0a0b" not in svg
        assert "<style" not in svg


def test_curves_are_named(distil):
    loss, blocks = charts.loss_chart(distil, "loss"), charts.block_chart(distil, "blocks")
    assert all(word in loss for word in ("cross-entropy", "distillation", "align", "learn"))
    assert "CTC" not in loss
    assert re.search(r"block 2\s+0\.\d\d", blocks)
    assert "block 4" in blocks


def test_ids_are_unique_over_charts_and_runs_repeat(distil):
    one, other = charts.loss_chart(distil, "one"), charts.loss_chart(distil, "other")
    ids = re.findall(r'\bid="([^"]+)"', one + other)
    targets = re.findall(r"#([\w-]+)", one)
    assert len(ids) == len(set(ids))
    assert targets
    assert set(targets) <= set(ids)
    assert one == charts.loss_chart(distil, "one")


def test_one_step_is_enough_to_draw(distil):
    short = type(distil)(distil.records[:1])
    assert "<svg" in charts.loss_chart(short, "one-step")
    assert "<svg" in charts.block_chart(short, "one-step-blocks")


def test_the_similarity_matrix_shows_every_cell_before_and_after():
    before = {"layers": [1, 4], "values": [[0.11, 0.12], [0.21, 0.22], [0.31, 0.32]]}
    after = {"layers": [1, 4], "values": [[0.41, 0.42], [0.51, 0.52], [0.61, 0.62]]}
    svg = charts.similarity_chart({"before": before, "after": after}, "similarity")
    for value in ("0.11", "0.32", "0.41", "0.62", "before", "after", "teacher layer"):
        assert value in svg


def test_a_term_that_dwarfs_another_gets_a_logarithmic_axis(distil):
    records = [{**r, "ctc": 400.0 / (1 + r["step"])} for r in distil.records]
    wide = charts.loss_chart(type(distil)(records), "wide")
    assert ">100<" in wide
    assert ">100<" not in charts.loss_chart(distil, "narrow")
