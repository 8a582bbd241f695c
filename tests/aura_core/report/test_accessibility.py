"""The report in a real Chromium, by telephone and desk, in the light and in the dark."""

import re

import pytest

from aura_core.config.run import ReportConfig
from aura_core.report.labels import BASE_CSS
from aura_core.report.page import render_report

# Every variable that text, or a name in a chart, is written in; those with a ground of their own.
NO_TEXT = {"paper", "card", "line", "tint"}
AA = 4.5


@pytest.fixture(scope="module")
def report(report_inputs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(report_inputs, ReportConfig(), "f00d" * 16))
    return f"file://{path}"


def test_nobody_is_kept_out(viewed, report, grave_findings):
    viewed.goto(report)
    viewed.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert grave_findings(viewed) == []


def test_what_is_wider_than_the_screen_scrolls_and_says_so(viewed, report):
    viewed.goto(report)
    viewed.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    viewed.wait_for_timeout(100)
    assert viewed.evaluate("document.documentElement.scrollWidth <= innerWidth")
    places = viewed.evaluate(
        """[...document.querySelectorAll(".scroll")].map((place) => [
            place.scrollWidth > place.clientWidth + 1,
            place.previousElementSibling.checkVisibility(),
            getComputedStyle(place).overflowX,
        ])"""
    )
    assert len(places) >= 3
    assert all(wide == told and overflow == "auto" for wide, told, overflow in places)
    assert places[0][0] == (viewed.viewport_size["width"] == 400)
    # A finger's or a key's stroke moves it.
    first = viewed.locator(".scroll").first
    first.focus()
    viewed.keyboard.press("ArrowRight")
    viewed.wait_for_function(
        "([place, wide]) => !wide || place.scrollLeft > 0",
        arg=[first.element_handle(), places[0][0]],
    )


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_text_can_be_read_in_tables_and_charts(scheme):
    """What axe cannot tell: text in SVG, and colours that this fixture's page does not show."""
    blocks = re.findall(r":root \{(.*?)\}", BASE_CSS.read_text(), re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks)
    colours = light if scheme == "light" else light | dark
    assert light.keys() == dark.keys()
    written = {n for n in colours if n not in NO_TEXT and not n.endswith("-bg")}
    assert len(written) > 14
    poor = [
        (name, ground, round(contrast(colours[name], colours[ground]), 2))
        for name in sorted(written)
        for ground in ("paper", "card", f"{name}-bg")
        if ground in colours and contrast(colours[name], colours[ground]) < AA
    ]
    assert poor == []
