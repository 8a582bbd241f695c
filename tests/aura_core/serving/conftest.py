"""A real server on a port of its own, and models to put behind it."""

import base64
import io
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import soundfile
from openai import OpenAI

from aura_core.chat.reply import Reply
from aura_core.ingest.audio import decode_file
from aura_core.serving.app import create_app
from aura_core.serving.listen import in_background
from tests.voiced import voiced


@pytest.fixture(scope="session")
def listening():
    """`with listening(app) as url`: the application behind uvicorn."""
    return in_background


@pytest.fixture
def client_of(listening):
    """`with client_of(models, **options) as client`: OpenAI's own client of them."""

    @contextmanager
    def serve(models, **options):
        with listening(create_app(models, **options)) as url:
            key = options.get("api_key", "unused")
            yield OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60)

    return serve


@pytest.fixture(scope="session")
def speech():
    """Base64 of an audio file: `speech(seconds, kind="WAV", rate=16000)`."""

    def make(seconds, kind="WAV", rate=16000, seed=0):
        samples = voiced(seconds, seed, rate)
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format=kind)
        return base64.b64encode(file.getvalue()).decode()

    return make


@pytest.fixture(scope="session")
def clip16():
    """What is heard of the base64 of an audio file."""
    return lambda data: decode_file(io.BytesIO(base64.b64decode(data)), 30).audio


@pytest.fixture(scope="session")
def heard():
    """A user's message of audio and a question."""

    def make(data, question="Transcribe."):
        audio = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        return {"role": "user", "content": [audio, {"type": "text", "text": question}]}

    return make


class Scripted:
    """A model that says what it is told, a byte a token, each when `go` lets it."""

    def __init__(self, text):
        self.text = text
        self.go = threading.Semaphore(0)
        self.asked = []
        self.said = 0

    def _tokens(self):
        for each in self.text.encode():
            assert self.go.acquire(timeout=20), "nobody let it go on"
            self.said += 1
            yield each

    def reply(self, turns, max_new_tokens, stop=()):
        self.asked.append(SimpleNamespace(turns=turns, max_new_tokens=max_new_tokens, stop=stop))
        return Reply(
            self._tokens(),
            prompt_tokens=7,
            decode=lambda ids: bytes(ids).decode(),
            end_ids=(0,),
            stop=stop,
        )


@pytest.fixture
def scripted():
    return Scripted
