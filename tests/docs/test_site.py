"""The docs site: built strictly, with nothing dead in it and nothing asked of another host."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """What a page links to, what it loads by itself, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        is_loaded = tag != "link" or found.get("rel") in ("stylesheet", "icon", "preload")
        source = found.get("src") or (found.get("href") if tag == "link" else None)
        if source and is_loaded:
            self.loaded.append(source)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet",
         "--config-file", ROOT / "infra" / "mkdocs.yml", "--site-dir", folder],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (built.returncode, built.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html")}


def test_every_link_and_anchor_is_alive(site, pages):
    dead = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            url, anchor = urldefrag(link)
            if urlsplit(link).scheme:
                continue
            base = site if url.startswith("/") else path.parent
            target = (base / unquote(url).lstrip("/")).resolve() if url else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file() or (anchor and anchor not in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 20
    assert dead == []


def test_no_page_loads_anything_from_another_host(site, pages):
    asked = [link for page in pages.values() for link in page.loaded if urlsplit(link).netloc]
    styles = [path for path in site.rglob("*.css") if "url(http" in path.read_text()]
    assert (asked, styles) == ([], [])


def test_public_names_stand_in_the_reference(site):
    use = (site / "api" / "use.html").read_text()
    assert 'id="aura_core.transcribe.load_listener"' in use
    assert "distil artifact" in use
