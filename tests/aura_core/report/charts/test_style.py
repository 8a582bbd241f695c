import re

from aura_core.report.charts.style import INK, canvas, colour, style, svg_text


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
