import re
from html.parser import HTMLParser

import pytest

from aura_core.artifacts import store
from aura_core.config import ReportConfig
from aura_core.errors import AuraError
from aura_core.report.page import render_report

HOSTILE = (
    "</script><script>alert(1)</script>\"><img src='http://evil.test/x' onerror=alert(2)>$\\x$"
)
LOADING = {"src", "srcset", "href", "xlink:href", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.references, self.handlers, self.styles = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in LOADING:
                self.references.append(value)
            if name.startswith("on"):
                self.handlers.append((tag, name))
            if name == "style":
                self.styles.append(value)

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "style":
            self.styles.append(data)


@pytest.fixture(scope="module")
def html(report_inputs):
    return render_report(report_inputs, ReportConfig(samples=4), "f00d" * 16)


@pytest.fixture(scope="module")
def hostile_html(build_run, tmp_path_factory):
    root = str(tmp_path_factory.mktemp("hostile"))
    inputs = build_run(root, HOSTILE, HOSTILE, phase=HOSTILE, reason=HOSTILE)
    return render_report(inputs, ReportConfig(samples=2), "f00d" * 16)


def assert_loads_nothing(page):
    for reference in page.references:
        assert reference.startswith(("#", "data:audio/mpeg;base64,")), reference[:80]
    for style in page.styles:
        assert "@import" not in style
        assert all(target.startswith("#") for target in re.findall(r"url\(\s*['\"]?([^)]*)", style))
    assert not {"iframe", "object", "embed", "link", "base", "img", "form"} & set(page.tags)


def test_nothing_is_loaded_from_elsewhere(html):
    page = Page(html)
    assert_loads_nothing(page)
    assert "default-src 'none'" in html
    assert sum(reference.startswith("data:audio/mpeg") for reference in page.references) == 5 + 4


def test_hostile_text_stays_text(html, hostile_html):
    page = Page(hostile_html)
    assert_loads_nothing(page)
    assert page.handlers == []
    assert page.tags.count("script") == Page(html).tags.count("script") == 1
    assert "&lt;script&gt;alert(1)" in hostile_html


def test_figures_table_and_samples_are_there(html):
    for name in ("latency", "distil", "blocks", "text_lora"):
        assert re.search(rf'id="figure-{name}".*?<svg', html, re.DOTALL)
    assert all(name in html for name in ("AuRA", "Cascade", "Text in", "upper bound"))
    assert "30.0" in html
    assert html.count('class="sample panel"') == 5 + 4
    assert re.search(r'<ins class="added"[^>]*>aura</ins>', html)
    assert "from “turn the lamp on 0”" in html


def test_the_first_screen_is_the_headline_then_clips_by_a_stated_rule_then_the_table(html):
    top = html[html.index("<h1>") : html.index('id="results"')]
    assert (
        "On 5 held-out clips AuRA&#39;s word error rate is 30.0%, the cascade&#39;s 10.0%." in top
    )
    assert "The first 5 clips of the split heldout in the evaluation's own order" in top
    assert top.index("<h1>") < top.index('id="listen"')
    assert top.count('class="sample panel"') == top.count("<audio") == 5
    assert top.count("<span>Said</span>") == top.count("<span>Right</span>") == 5
    assert len(set(re.findall(r'id="(wave-[^"]+)"', html))) == 5 + 4, "each player has its own wave"


def test_differences_slices_quality_and_intents_are_there(html):
    assert "AuRA loses 1 of 1" in html
    assert "word error rate on heldout (<b>+20.0</b> points" in html
    assert "Embedded: multiple choice, by condition" in html
    assert html.count('class="figures small"') == 2
    assert re.search(r'id="quality".*?<svg.*?time to first token', html, re.DOTALL)
    assert 'title="dim → dim: 2"' in html
    assert "Which one, turn the lamp on?" in html


def test_what_ran_is_there(html):
    assert "f00d" * 3 in html
    assert "empty file" in html
    assert "teacher" in html
    assert "pinned:whisper-tiny.en" in html
    assert "transformers" in html


def test_the_same_artifacts_give_the_same_page(html, report_inputs):
    assert render_report(report_inputs, ReportConfig(samples=4), "f00d" * 16) == html


def test_a_run_of_transcripts_alone_has_a_page(build_run, tmp_path):
    inputs = build_run(str(tmp_path), "press one", None, phase="learn", reason="empty file")
    for path in ("distil/metrics.jsonl", "evaluate/latency.jsonl", "ingest/rejected.jsonl"):
        store.write_text(f"{tmp_path}/{path}", "")
    html = render_report(inputs, ReportConfig(), "f00d" * 16)
    assert "What is wanted?" not in html
    assert "No utterance was rejected." in html
    assert 'id="figure-blocks"' not in html
    assert_loads_nothing(Page(html))


def test_an_unfinished_input_is_named(report_inputs, tmp_path):
    with pytest.raises(AuraError, match="distil"):
        render_report(
            {**report_inputs, "distil": f"{tmp_path}/distil"}, ReportConfig(), "f00d" * 16
        )
