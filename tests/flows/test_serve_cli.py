"""`aura serve` and `aura demo` as a user meets them."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from aura_core.errors import AuraError
from flows import serve_cli


@contextmanager
def running(*arguments, **env):
    """The command, and where it says it serves."""
    command = [Path(sys.executable).with_name("aura"), *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("serving "), process.stderr.read()
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()


def test_what_is_no_model_is_told(tmp_path):
    for command in (serve_cli.serve, serve_cli.demo):
        with pytest.raises(AuraError, match="is no model and no run"):
            command(str(tmp_path))


@pytest.mark.slow
def test_a_student_is_served_with_a_key_until_a_signal_comes(artifact_of):
    with running("serve", "--model", artifact_of(), AURA_API_KEY="secret") as (process, url):
        client = OpenAI(base_url=url, api_key="secret", max_retries=0)
        asked = {"model": "aura", "messages": [{"role": "user", "content": "Hello"}]}
        made = client.chat.completions.create(**asked, max_tokens=4)
        assert 0 < made.usage.completion_tokens <= 4
        assert httpx.get(f"{url}/models").status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        told = process.stderr.read()
        assert "model: aura, " in told
        assert "not evaluated yet" in told
        assert "Traceback" not in told


@pytest.mark.slow
def test_the_page_of_the_smoke_run_has_its_models_and_samples(smoke_root):
    with running("demo", smoke_root) as (_, url):
        assert "<title>AuRA demo</title>" in httpx.get(url).text
        names = [each["id"] for each in httpx.get(f"{url}v1/models").json()["data"]]
        assert {"aura", "cascade"} <= set(names)
        samples = httpx.get(f"{url}samples").json()
        assert {each["split"] for each in samples} >= {"heldout", "phrasing", "voice"}
        for name in names:
            body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
            answer = httpx.post(f"{url}v1/chat/completions", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
