"""The endpoint as OpenAI's own client meets it, on a real server."""

import base64
import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import numpy as np
import openai
import pytest
import soundfile

from aura_core.chat.load import load_chat
from aura_core.serving.app import create_app
from aura_core.turns import Turn


@pytest.fixture(scope="module", params=["dense", "ctc"])
def hearing(request, artifact_of):
    return load_chat(str(artifact_of(handover=request.param)))


@pytest.fixture(scope="module")
def model(artifact_of):
    return load_chat(str(artifact_of()))


def free(model, tokens=1000):
    model.go.release(tokens)
    return model


def test_an_answer_whole_and_streamed_is_the_librarys(client_of, hearing, speech, heard, clip16):
    audio = clip16(speech(1.3))
    reply = hearing.reply([Turn("user", (audio, "Transcribe."))], 24)
    expected = "".join(reply)
    asked = {"model": "aura", "messages": [heard(speech(1.3))], "max_tokens": 24}
    with client_of({"aura": hearing}) as client:
        whole = client.chat.completions.create(**asked)
        with closing(
            client.chat.completions.create(
                **asked, stream=True, stream_options={"include_usage": True}
            )
        ) as stream:
            *chunks, last = list(stream)
    assert whole.choices[0].message.content == expected
    assert whole.choices[0].message.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected
    assert len(chunks) > 3
    assert chunks[0].choices[0].delta.role == "assistant"
    for usage in (whole.usage, last.usage):
        assert usage.prompt_tokens == reply.prompt_tokens
        assert usage.completion_tokens == reply.completion_tokens
        assert usage.total_tokens == reply.prompt_tokens + reply.completion_tokens
    reasons = {whole.choices[0].finish_reason, chunks[-1].choices[0].finish_reason}
    assert reasons == {reply.finish_reason}


@pytest.mark.parametrize("stream", [False, True])
def test_nobody_is_answered_where_nobody_speaks(client_of, scripted, speech, heard, stream):
    model = free(scripted("words"))
    wav = io.BytesIO()
    hiss = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(wav, hiss, 16000, format="WAV")
    noise = base64.b64encode(wav.getvalue()).decode()
    with client_of({"aura": model}) as client:

        def said(*messages):
            made = client.chat.completions.create(model="aura", messages=messages, stream=stream)
            choices = [each.choices[0] for each in (made if stream else [made])]
            parts = [each.delta if stream else each.message for each in choices]
            return "".join(part.content or "" for part in parts), choices[-1].finish_reason

        assert said(heard(noise)) == ("", "stop")
        assert model.asked == []
        turns = [heard(speech(1.0)), {"role": "assistant", "content": "yes"}]
        assert said(*turns, heard(noise)) == ("", "stop")
        # A turn of text is answered, whatever was heard before.
        assert said(heard(noise), {"role": "user", "content": "Hello"})[0] == "words"


def test_any_format_and_rate_and_several_turns(client_of, scripted, speech, heard):
    model = free(scripted("yes"))
    messages = [
        {"role": "system", "content": "Be brief."},
        heard(speech(1.0, "FLAC", 8000)),
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "And in OGG?"},
        heard(speech(0.5, "OGG", 44100), "Now?"),
    ]
    with client_of({"aura": model}) as client:
        made = client.chat.completions.create(
            model="aura", messages=messages, max_completion_tokens=9, stop="s"
        )
    assert made.choices[0].message.content == "ye"
    assert made.choices[0].finish_reason == "stop"
    [asked] = model.asked
    assert (asked.max_new_tokens, asked.stop) == (9, ["s"])
    assert [turn.role for turn in asked.turns] == ["system", "user", "assistant", "user", "user"]
    assert len(asked.turns[1].parts[0]) == 16000
    assert len(asked.turns[4].parts[0]) == 8000
    assert asked.turns[4].parts[1] == "Now?"


def test_what_there_is_and_that_it_lives(client_of, scripted):
    with client_of({"aura": scripted(""), "cascade": scripted("")}) as client:
        assert [each.id for each in client.models.list()] == ["aura", "cascade"]
        assert client.models.retrieve("cascade").id == "cascade"
        health = httpx.get(str(client.base_url).replace("/v1/", "/health"))
        assert health.json() == {"status": "ok"}
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("other")


def test_an_empty_answer_is_an_answer(client_of, scripted):
    asked = {"model": "aura", "messages": [{"role": "user", "content": "?"}]}
    with client_of({"aura": free(scripted("\0"))}) as client:
        assert client.chat.completions.create(**asked).choices[0].message.content == ""
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == ["stop"]


def bad(heard, data="", **changes):
    return {"model": "aura", "messages": [heard(data)], **changes}


@pytest.mark.parametrize(
    ("make", "error", "code", "param", "reason"),
    [
        (lambda h, s: bad(h, "%%%"), openai.BadRequestError, "invalid_audio",
         "messages.0.content.0.input_audio.data", "not base64"),
        (lambda h, s: bad(h, "bm8gYXVkaW8="), openai.BadRequestError, "invalid_audio",
         "messages.0.content.0.input_audio.data", "not audio"),
        (lambda h, s: bad(h, ""), openai.BadRequestError, "invalid_audio",
         "messages.0.content.0.input_audio.data", "empty"),
        (lambda h, s: bad(h, s(31)), openai.BadRequestError, "invalid_audio",
         "messages.0.content.0.input_audio.data", r"too long: 31\.00 s, at most 30 s"),
        (lambda h, s: bad(h, s(1), model="gpt"), openai.NotFoundError, "model_not_found",
         "model", "no model 'gpt' here, only aura"),
        (lambda h, s: bad(h, s(1), n=2), openai.BadRequestError, None, None, "n: not supported"),
        (lambda h, s: bad(h, s(1), max_tokens=0), openai.BadRequestError, None, "max_tokens",
         "greater than or equal to 1"),
        (lambda h, s: {"model": "aura", "messages": []}, openai.BadRequestError, None,
         "messages", "at least 1"),
        (lambda h, s: {"model": "aura", "messages": [{"role": "assistant", "content": "x"}]},
         openai.BadRequestError, None, "messages", "must be the user's"),
        (lambda h, s: {"model": "aura", "messages": [{**h(s(1)), "role": "system"}, h(s(1))]},
         openai.BadRequestError, None, "messages", "audio belongs to the user"),
        (lambda h, s: {"model": "aura", "messages": [{"role": "user", "content": [
            {"type": "text", "txt": "x"}]}]}, openai.BadRequestError, None,
         "messages.0.content.0.text", "Field required"),
        (lambda h, s: {"model": "aura", "messages": [{"role": "user", "content": [
            {"type": "image_url"}]}]}, openai.BadRequestError, None,
         "messages.0.content.0", "image_url"),
        (lambda h, s: {"model": "aura", "messages": [{"role": "user", "content": "w " * 3000}]},
         openai.BadRequestError, "context_length_exceeded", "messages", "the model has 2048"),
    ],
)  # fmt: skip
def test_a_bad_request_is_told_as_openai_does(
    client_of, model, speech, heard, make, error, code, param, reason
):
    with client_of({"aura": model}) as client:
        for stream in (False, True):
            with pytest.raises(error, match=reason) as raised:
                client.chat.completions.create(**make(heard, speech), stream=stream)
            assert (raised.value.code, raised.value.param) == (code, param)
            assert raised.value.type == "invalid_request_error"


def test_a_body_over_the_limit_is_refused(client_of, scripted, speech, heard):
    with (
        client_of({"aura": free(scripted("x"))}, max_body_bytes=20_000) as client,
        pytest.raises(openai.APIStatusError, match="more than 20000 bytes") as raised,
    ):
        client.chat.completions.create(model="aura", messages=[heard(speech(1))])
    assert (raised.value.status_code, raised.value.code) == (413, "request_too_large")


def test_without_its_key_nothing_is_answered(client_of, scripted, speech, heard):
    asked = {"model": "aura", "messages": [heard(speech(0.2))]}
    models = {"aura": free(scripted("x"))}
    with client_of(models, api_key="secret") as client:
        assert client.chat.completions.create(**asked).choices[0].message.content == "x"
        with pytest.raises(openai.AuthenticationError) as raised:
            client.with_options(api_key="other").chat.completions.create(**asked)
        assert httpx.get(f"{client.base_url}models").status_code == 401
    assert raised.value.code == "invalid_api_key"


def test_other_names_and_other_kinds_of_bodies_are_refused(listening, scripted):
    with listening(create_app({"aura": scripted("")})) as url:
        evil = httpx.get(f"{url}/v1/models", headers={"Host": "evil.example"})
        assert evil.status_code == 400
        plain = httpx.post(f"{url}/v1/chat/completions", content="{}")
        assert plain.json()["error"]["message"].startswith("send JSON")
        broken = httpx.post(
            f"{url}/v1/chat/completions", content="{", headers={"Content-Type": "application/json"}
        )
        assert broken.status_code == 400
        assert httpx.get(f"{url}/nowhere").json()["error"]["message"] == "Not Found"


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [True, False])
def test_one_at_a_time_and_who_hangs_up_frees_the_model(client_of, scripted, stream):
    slow, quick = scripted("x" * 1000), free(scripted("done"))
    asked = {"messages": [{"role": "user", "content": "?"}]}
    with client_of({"slow": slow, "quick": quick}) as client, ThreadPoolExecutor(1) as pool:
        hanging = post(client.base_url, {"model": "slow", **asked, "stream": stream})
        slow.go.release(3)
        wait_until(lambda: slow.said == 3)
        other = pool.submit(client.chat.completions.create, model="quick", **asked)
        time.sleep(0.3)
        assert not other.done()
        hanging.close()
        time.sleep(0.3)
        # What the client had asked for ends at its next token.
        slow.go.release(1)
        assert other.result(20).choices[0].message.content == "done"
    assert slow.said == 4


def test_who_hangs_up_while_waiting_is_never_asked_about(client_of, scripted):
    slow, never = scripted("x"), free(scripted("never"))
    asked = {"messages": [{"role": "user", "content": "?"}]}
    with client_of({"slow": slow, "never": never}) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.chat.completions.create, model="slow", **asked)
        wait_until(lambda: slow.asked)
        waiting = post(client.base_url, {"model": "never", **asked})
        time.sleep(0.3)
        waiting.close()
        time.sleep(0.3)
        slow.go.release(1)
        assert first.result(20).choices[0].message.content == "x"
    assert never.asked == []


def post(base_url, body):
    """Send a request and return the connection, for a client that hangs up."""
    data = json.dumps(body).encode()
    connection = socket.create_connection((base_url.host, base_url.port))
    head = f"POST {base_url.path}chat/completions HTTP/1.1\r\nHost: {base_url.host}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)
    return connection


def test_a_full_queue_is_told(client_of, scripted):
    slow = scripted("x")
    asked = {"model": "slow", "messages": [{"role": "user", "content": "?"}]}
    with client_of({"slow": slow}, max_waiting=0) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.chat.completions.create, **asked)
        wait_until(lambda: slow.asked)
        with pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(**asked)
        slow.go.release(1)
        first.result(20)
    assert raised.value.code == "queue_full"


class Broken:
    """A model with a fault of its own."""

    def reply(self, turns, max_new_tokens, stop=()):
        raise RuntimeError("a path of this machine")


def test_a_fault_of_ours_is_told_without_its_words(client_of):
    with (
        client_of({"aura": Broken()}) as client,
        pytest.raises(openai.InternalServerError, match="RuntimeError") as raised,
    ):
        client.chat.completions.create(model="aura", messages=[{"role": "user", "content": "?"}])
    assert "path" not in str(raised.value)
