import json

import pytest

from aura_core.errors import AuraError

TABLE = "dataset/slurp/test.jsonl"


def sentence(words, *files, scenario="alarm", action="set", entities=()):
    return {
        "slurp_id": 4489,
        "sentence": words,
        "intent": "another_name",
        "action": action,
        "scenario": scenario,
        "tokens": [{"surface": word, "id": i} for i, word in enumerate(words.split())],
        "recordings": [{"file": file, "wer": 0, "status": "correct"} for file in files],
        "entities": [{"span": span, "type": kind} for kind, span in entities],
    }


@pytest.fixture
def requests_(write, audio):
    for name in ("audio-1-headset", "audio-1", "audio-2"):
        write(f"audio/slurp_real/{name}.flac", audio(file_format="FLAC"))
    lines = [
        sentence(
            "wake me at Eight thirty today",
            "audio-1-headset.flac", "audio-1.flac",
            entities=[("time", [3, 4]), ("date", [5])],
        ),
        sentence("stop the music", "audio-2.flac", scenario="play", action="music"),
    ]  # fmt: skip
    return write(TABLE, "".join(json.dumps(line) + "\n" for line in lines))


def test_each_recording_is_asked_its_intent(requests_, read):
    items, rejected = read("slurp_intent", requests_)
    assert rejected == {}
    assert {id_: item.extra["microphone"] for id_, item in items.items()} == {
        "audio-1-headset": "near",
        "audio-1": "far",
        "audio-2": "far",
    }
    assert items["audio-1"].references == ("alarm_set",)
    assert items["audio-2"].references == ("play_music",)
    assert items["audio-2"].text == "stop the music"
    assert "alarm_set, play_music" in items["audio-2"].prompt_text


def test_entities_are_words_of_the_request(requests_, read):
    items, _ = read("slurp_entities", requests_)
    assert items["audio-1"].references == ("alarm_set; time=eight thirty; date=today",)
    assert items["audio-2"].references == ("play_music",)
    assert "date, time" in items["audio-2"].prompt_text
    assert "{" not in items["audio-2"].prompt_text


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        json.dumps(sentence("a b")),
        json.dumps(sentence("a b", "x.flac", entities=[("time", [7])])),
        json.dumps({"sentence": "a", "recordings": []}),
    ],
)
def test_a_line_that_is_no_sentence_is_named(requests_, read, write, line):
    write(TABLE, (requests_ / TABLE).read_text() + line + "\n")
    items, rejected = read("slurp_intent", requests_)
    assert len(items) == 3
    assert rejected == {"line 3": "bad line"}


def test_a_recording_that_is_not_there_is_named(requests_, read):
    (requests_ / "audio/slurp_real/audio-1.flac").unlink()
    items, rejected = read("slurp_intent", requests_)
    assert len(items) == 2
    assert rejected == {"audio-1": "missing"}


def test_the_audio_must_be_there_too(write, read):
    folder = write(TABLE, json.dumps(sentence("a", "x.flac")))
    with pytest.raises(AuraError, match=r"expected dataset/slurp/test\.jsonl and slurp_real"):
        read("slurp_intent", folder)


def test_its_scorers_understand_it(requests_, read, score):
    items, _ = read("slurp_intent", requests_)
    answers = {"audio-1-headset": "Alarm set", "audio-1": "play_music", "audio-2": "play_music"}
    assert score("slurp_intent", items, answers) == 2 / 3
    items, _ = read("slurp_entities", requests_)
    right = {id_: item.references[0] for id_, item in items.items()}
    assert score("slurp_entities", items, right) == 1
    wrong = right | {"audio-1": "alarm_set; place=here"}
    assert 0 < score("slurp_entities", items, wrong) < 1
