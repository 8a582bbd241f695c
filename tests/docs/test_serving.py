"""docs/serving.md: its client against a server, its route to vLLM as far as it goes without it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from aura_core.chat.load import load_chat
from aura_core.export.folder import export_student
from aura_core.turns import Turn
from tests.voiced import voiced

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()


def script(name, folder):
    """A script of the page, written where it can be run."""
    [text] = re.findall(rf'^```python title="{name}"\n(.*?)^```$', PAGE, re.S | re.M)
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture
def wav(tmp_path):
    soundfile.write(tmp_path / "request.wav", voiced(1.25), 16000)
    return tmp_path / "request.wav"


def run(*arguments):
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_client_prints_the_answer(artifact_of, wav, tmp_path):
    artifact = str(artifact_of())
    command = [Path(sys.executable).with_name("aura"), "serve", "--model", artifact, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().split()[-1]
            printed = run(script("client.py", tmp_path), url, wav)
        finally:
            server.terminate()
    audio = soundfile.read(wav, dtype="float32")[0]
    reply = load_chat(artifact).reply([Turn("user", (audio, "What is wanted?"))], 256)
    assert printed == "".join(reply)


def test_the_saved_llm_answers_prompt_embeddings_as_the_exported_model_does(
    artifact_of, wav, tmp_path
):
    export_student(str(artifact_of("all", attention="causal")), tmp_path / "model")
    run(script("to_vllm.py", tmp_path), tmp_path / "model", wav, tmp_path / "llm")
    llm = AutoModelForCausalLM.from_pretrained(tmp_path / "llm")
    assert type(llm).__name__ == "LlamaForCausalLM"
    embeds = torch.load(tmp_path / "llm" / "prompt_embeds.pt")
    ids = llm.generate(inputs_embeds=embeds[None], max_new_tokens=24, do_sample=False)[0]
    text = AutoTokenizer.from_pretrained(tmp_path / "llm").decode(ids, skip_special_tokens=True)
    audio = soundfile.read(wav, dtype="float32")[0]
    asked = [Turn("user", (audio, "Transcribe."))]
    assert "".join(load_chat(str(tmp_path / "model")).reply(asked, 24)) == text.strip() != ""
