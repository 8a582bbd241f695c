import io
import json

import pytest
import soundfile

from aura_core.errors import AuraError

WRITTEN = "Super Bowl 50 was a game. Denver won."


def squad(context, *qas):
    return json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [
        {"context": context, "qas": list(qas)}]}]})  # fmt: skip


def question(id_, *answers):
    found = [{"text": text, "answer_start": 0} for text in answers]
    return {"id": id_, "question": " Who won? ", "answers": found}


@pytest.fixture
def passages(write, audio):
    write("dev-v1.1.json", squad(WRITTEN, question("q1", "Denver"), question("q2", "Denver")))
    write("dev_wav/0_0_0.wav", audio(0.5, 8000))
    write("dev_wav/0_0_1.wav", audio(0.25, 8000))
    heard = squad("super ball fifty", question("q1", "denver", "denver", "the broncos"))
    return write("spoken_test-v1.1.json", heard)


def test_a_question_hears_its_whole_passage(passages, read):
    items, rejected = read("spoken_squad", passages)
    assert rejected == {}
    item = items["q1"]
    assert item.text == WRITTEN
    assert item.prompt_text.startswith("Who won? ")
    assert item.references == ("denver", "the broncos")
    sound, rate = soundfile.read(io.BytesIO(item.audio))
    assert (len(sound), rate) == (6000, 8000)


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("dev_wav/0_0_0.wav", None, "missing"),
        ("dev_wav/0_0_1.wav", b"junk", "not audio"),
        ("dev-v1.1.json", squad(WRITTEN, question("q9", "x")), "no transcript"),
    ],
)
def test_a_passage_that_is_not_whole_is_named(passages, read, write, path, content, kind):
    if content is None:
        (passages / path).unlink()
    else:
        write(path, content)
    assert read("spoken_squad", passages) == ({}, {"q1": kind})


def test_a_passage_without_any_sentence_or_of_two_rates_is_named(passages, read, write, audio):
    write("dev_wav/0_0_1.wav", audio(0.25, 16_000))
    assert read("spoken_squad", passages)[1] == {"q1": "mixed rates"}
    for path in (passages / "dev_wav").iterdir():
        path.unlink()
    assert read("spoken_squad", passages)[1] == {"q1": "missing"}


@pytest.mark.parametrize("content", ["[]", "{", '{"data": [{"paragraphs": [{"qas": []}]}]}'])
def test_what_is_not_squad_is_refused(passages, read, write, content):
    write("spoken_test-v1.1.json", content)
    with pytest.raises(AuraError, match="not in SQuAD's form"):
        read("spoken_squad", passages)


@pytest.mark.parametrize("name", ["dev-v1.1.json", "spoken_test-v1.1.json"])
def test_both_tables_are_needed(passages, read, name):
    (passages / name).unlink()
    with pytest.raises(AuraError, match=r"expected spoken_test-v1\.1\.json, SQuAD's dev-v1"):
        read("spoken_squad", passages)


def test_its_scorer_understands_it(passages, read, score):
    items, _ = read("spoken_squad", passages)
    assert score("spoken_squad", items, {"q1": "The Broncos."}) == 1
    assert score("spoken_squad", items, {"q1": "Carolina"}) == 0
