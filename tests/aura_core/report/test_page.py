import re
from html.parser import HTMLParser

import pytest

from aura_core.artifacts import store
from aura_core.config.run import ReportConfig
from aura_core.errors import AuraError
from aura_core.evaluation.results import Difference, Results, Row, read_table, write_results
from aura_core.evaluation.scoring import primary_metrics
from aura_core.report.page import render_markdown, render_report


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


HOSTILE = (
    "</script><script>alert(1)</script>\"><img src='http://evil.test/x' onerror=alert(2)>$\\x$"
)
# Five at random, the four on which models disagree, four more.
CLIPS = 5 + 4 + 4
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
    assert sum(reference.startswith("data:audio/mpeg") for reference in page.references) == CLIPS


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
    assert html.count('class="sample panel"') == CLIPS
    assert re.search(r'<ins class="added"[^>]*>aura</ins>', html)
    assert "from “turn the lamp on 0”" in html


def test_first_a_verdict_and_the_recipe_then_clips_by_stated_rules_then_the_table(html):
    top, rest = html[html.index("<h1>") : html.index('id="results"')], html[: html.index("<h1>")]
    assert (
        "On 12 held-out clips AuRA hears worse than the cascade: word error rate 30.0% against "
        "10.0%, a difference of +20.0 points (95% interval +10.0 to +30.0)." in top
    )
    assert '<p class="recipe">Recipe smoke with' in rest
    assert "From the 12 clips of the split heldout, with random seed 0" in top
    assert top.index("<h1>") < top.index("drawn at random") < top.index("disagree most")
    assert top.count('class="sample panel"') == top.count("<audio") == 5 + 4
    waves = set(re.findall(r'id="(wave-[^"]+)"', html))
    assert len(waves) == CLIPS, "each player has its own wave"


def test_the_sections_come_in_the_order_of_what_matters_and_profiles_last(html):
    order = [html.index(f'id="{name}"') for name in ("listen", "results", "training", "ran")]
    profile = html.index("Where the time of a step goes")
    assert order == sorted(order)
    assert profile > order[-1]
    assert "forward" in html[profile:]


def test_every_split_is_explained(html):
    splits = html[html.index('class="splits"') : html.index("<table")]
    assert re.findall(r"<dt>(\w+)</dt>", splits) == ["heldout", "voice"]


def test_differences_slices_quality_and_intents_are_there(html):
    assert "AuRA loses 1 of 2" in html
    assert "Too few utterances in 1 of 2: word error rate on voice (n = 3)." in html
    assert "word error rate on heldout (<b>+20.0</b> points" in html
    assert "Embedded: multiple choice, by condition" in html
    assert html.count('class="figures small"') == 2
    assert re.search(r'id="quality".*?<svg.*?time to first token', html, re.DOTALL)
    assert 'title="dim → dim: 6"' in html
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


def test_pseudo_labels_are_named_where_the_verdict_is(build_run, tmp_path):
    inputs = build_run(str(tmp_path), "press one", None, phase="learn", reason="empty file")
    found = read_table(inputs["evaluate"])
    rows = [row for row in found.rows if row.model != "cascade"]
    writers = {f"transcribe/{split}": "whisper:small" for split in ("heldout", "voice")}
    write_results(inputs["evaluate"], rows, [], writers)
    html = render_report(inputs, ReportConfig(samples=1), "f00d" * 16)
    top = html[html.index("<h1>") : html.index('id="listen"')]
    assert "word error rate against the transcripts of whisper:small is 30.0%" in top
    assert "were written by the ASR whisper:small, not by people" in top
