"""The page in a real Chromium, whose microphone is a file."""

import io
import re

import httpx
import numpy as np
import pytest
import soundfile
import xxhash
from playwright.sync_api import expect

from aura_core.chat.reply import Reply
from aura_core.chat.run_models import HeldOut
from aura_core.ingest.utterances import decode_audio, encode_audio, write_table
from aura_core.report.labels import BASE_CSS
from aura_core.serving.app import SAMPLES_PER_SPLIT, add_page, create_app, read_samples
from tests.voiced import voiced


def digest(audio):
    return xxhash.xxh3_64_hexdigest(np.round(audio * 32768).astype(np.int16).tobytes())


class Echo:
    """A model that says what it was asked, and what it heard."""

    def __init__(self, name):
        self.name = name

    def reply(self, turns, max_new_tokens, stop=()):
        [audio, question] = turns[0].parts
        level = "loud" if np.abs(audio).max() > 0.1 else "quiet"
        text = f"{self.name}: {question} {len(audio) / 16000:.1f} s {level} {digest(audio)}\0"
        return Reply(
            iter(text.encode()), prompt_tokens=1, end_ids=(0,),
            decode=lambda ids: bytes(ids).decode(errors="replace"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """An ingest artifact with a split that has answers, one that has none, and training clips."""
    uri = str(tmp_path_factory.mktemp("ingest"))
    rows = []
    for split, count in (("heldout", 10), ("voice", 2), ("train", 3)):
        for number in range(count):
            flac, _ = encode_audio(voiced(0.4 + number / 10))
            answers = split != "voice"
            rows.append({
                "id": f"{split}{number}", "text": f"turn on lamp {number}", "split": split,
                "language": "en", "instruction": "What is wanted?" if answers else None,
                "response": f"lamp {number}" if answers else None, "speaker": None,
                "family": None, "duration_s": 0.4 + number / 10, "source_sample_rate": 16000,
                "avg_logprob": None, "audio": {"bytes": flac, "path": None}, "digest": "d",
            })  # fmt: skip
    write_table(uri, rows)
    return HeldOut(uri, None)


@pytest.fixture(scope="module")
def url(listening, held_out):
    app = create_app({name: Echo(name) for name in ("aura", "cascade", "bridge")})
    add_page(app, held_out)
    with listening(app) as url:
        yield url


@pytest.fixture(params=[1280, 390])
def page(browser, url, request):
    """The page as wide as a desk and a telephone have it; it asks nobody else, without errors."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    page, complaints, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.wait_for_selector("#models .model")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [each for each in complaints if "status of 400" not in each] == []
    assert [each for each in asked if not each.startswith((url, "blob:", "data:"))] == []
    context.close()


def answers(page):
    """Ask, and return the text of every card once all are there."""
    page.click("#ask")
    ended = page.locator("#answers .more:not(:empty), #answers .answer.problem")
    # Long enough for a machine that has other work.
    expect(ended).to_have_count(page.locator("#models input:checked").count(), timeout=60_000)
    return page.locator("#answers .answer").all_inner_texts()


def test_a_recording_is_heard_by_every_model_that_is_chosen(page):
    assert page.locator("#models").inner_text().split() == ["AuRA", "Cascade", "Bridge"]
    assert page.is_disabled("#ask")
    page.uncheck("input[value=bridge]")
    page.click("#record")
    expect(page.locator("#record")).to_have_text(re.compile(r"Stop +(1\.[2-9]|[2-9])"))
    page.click("#record")
    page.wait_for_selector("text=Your recording")
    page.fill("#question", "Who speaks?")
    said = answers(page)
    assert [each.partition(" ")[0] for each in said] == ["aura:", "cascade:"]
    for each in said:
        _, _, _, seconds, _, level, _ = each.split()
        assert each.split(": ")[1].startswith("Who speaks?")
        assert 0.8 < float(seconds) < 8
        assert level == "loud"
    for shown in page.locator("#answers .ttft").all_inner_texts():
        assert re.fullmatch(r"first token [1-9]\d* ms", shown)
    assert "tokens in" in page.locator("#answers .more").first.inner_text()


def test_a_sample_is_shown_with_its_reference_and_heard_to_the_sample(page, held_out):
    number = 3
    _, item = read_samples(held_out)[number]
    page.select_option("#sample", str(number))
    page.wait_for_selector("#reference >> visible=true")
    assert page.inner_text("#said") == item.text
    assert page.inner_text("#expected") == item.references[0]
    assert page.input_value("#question") == item.instruction
    assert page.locator("#sample optgroup").count() == 2
    expected = digest(decode_audio(item.flac))
    assert [each.split()[-1] for each in answers(page)] == [expected] * 3
    page.click("#play")
    expect(page.locator("#play")).to_have_class(re.compile("playing"))


def test_a_file_of_another_rate_is_heard_and_one_that_cannot_be_is_told(page, tmp_path):
    soundfile.write(tmp_path / "talk.flac", voiced(1.5, rate=44100), 44100)
    page.set_input_files("#file", tmp_path / "talk.flac")
    page.wait_for_selector("text=talk.flac")
    assert " 1.5 s loud " in answers(page)[0]
    soundfile.write(tmp_path / "long.wav", voiced(31, rate=8000), 8000)
    page.set_input_files("#file", tmp_path / "long.wav")
    page.wait_for_selector("text=long.wav: 31.0 s, at most 30 s are heard")
    (tmp_path / "text.wav").write_text("no audio")
    page.set_input_files("#file", tmp_path / "text.wav")
    page.wait_for_selector("text=text.wav")
    assert "not audio" in answers(page)[0]
    # A format that the server reads and the browser does not.
    soundfile.write(tmp_path / "talk.w64", voiced(1.0), 16000, format="W64")
    page.set_input_files("#file", tmp_path / "talk.w64")
    page.wait_for_selector("text=talk.w64")
    assert " 1.0 s loud " in answers(page)[0]


def test_nobody_is_kept_out(viewed, url, grave_findings):
    viewed.goto(url)
    viewed.wait_for_selector("#models .model")
    assert grave_findings(viewed) == []
    viewed.select_option("#sample", "3")
    viewed.wait_for_selector("#reference >> visible=true")
    answers(viewed)
    assert grave_findings(viewed) == []


def test_the_page_has_the_look_of_the_report(url):
    html = httpx.get(url).text
    assert '<link rel="stylesheet" href="/base.css">' in html
    assert httpx.get(f"{url}/base.css").text == BASE_CSS.read_text()
    assert '<span class="mark">AuRA</span>' in html
    own = httpx.get(f"{url}/static/style.css").text
    assert not re.findall(r"#[0-9a-f]{3,6}\b(?=[;, )])", own), "colours are those of base.css"


def test_samples_are_held_out_speech_of_every_split(url, held_out):
    samples = httpx.get(f"{url}/samples").json()
    assert [each["split"] for each in samples] == ["heldout"] * SAMPLES_PER_SPLIT + ["voice"] * 2
    assert samples[0]["question"] == "What is wanted?"
    assert samples[-1]["question"] == "Transcribe."
    assert samples[-1]["expected"] == samples[-1]["said"]
    flac = httpx.get(f"{url}/samples/9").content
    assert soundfile.info(io.BytesIO(flac)).samplerate == 16000
    assert httpx.get(f"{url}/samples/10").status_code == 404
    policy = httpx.get(url).headers["content-security-policy"]
    assert "default-src 'self'" in policy


def test_a_model_without_a_run_has_no_samples(listening):
    app = create_app({"aura": Echo("aura")})
    add_page(app, None)
    with listening(app) as url:
        assert httpx.get(f"{url}/samples").json() == []
        assert "<title>AuRA demo</title>" in httpx.get(url).text
