"""A real Chromium, whose microphone is a file, and what axe-core finds on a page."""

import shutil

import pytest

from tests.voiced import voiced

CHROMIUM = shutil.which("chromium")
# Telephone and desk.
WIDTHS = (400, 1200)
SCHEMES = ("light", "dark")
GRAVE = ("serious", "critical")


# Not longer than a module: as long as playwright runs, no other test can start an event loop.
@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser; tests are skipped without a chromium."""
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    import soundfile
    from playwright.sync_api import sync_playwright

    microphone = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(microphone, voiced(20, rate=48000), 48000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(params=[(width, scheme) for width in WIDTHS for scheme in SCHEMES], ids=str)
def viewed(browser, request):
    """A blank page as wide as a telephone and a desk have it, in the light and in the dark."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        bypass_csp=True,
    )
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def grave_findings():
    """A function: what axe-core calls serious or critical on a page, as (rule, element, reason).

    Texts whose contrast it cannot compute count too, so that none passes unread; but for single
    characters, and charts, whose colours have a test of their own.
    """
    from axe_playwright_python.base import AXE_SCRIPT

    def find(page):
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate("axe.run()")
        assert len(found["passes"]) > 15, "axe has looked at nothing"
        grave = [each for each in found["violations"] if each["impact"] in GRAVE]
        unread = [each for each in found["incomplete"] if each["id"] == "color-contrast"]
        return [
            (rule["id"], node["target"][-1], node["failureSummary"])
            for rule in (*grave, *unread)
            for node in rule["nodes"]
            if rule in grave or not _is_exempt(page, node)
        ]

    return find


def _is_exempt(page, node):
    if any((each["data"] or {}).get("messageKey") == "shortTextContent" for each in node["any"]):
        return True
    return page.evaluate(
        "(found) => document.querySelector(found).closest('svg') !== null", node["target"][-1]
    )
