import base64
import io

import numpy as np
import soundfile

from aura_core.evaluation.scoring import read_answers
from aura_core.report import samples as built
from aura_core.report.samples import (
    audio_data_uri,
    build_samples,
    choose_ids,
    most_disputed,
    share_places,
    waveform,
)


def test_the_clip_can_be_decoded_again_and_is_small():
    time_s = np.arange(32_000) / 16_000
    audio = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    uri = audio_data_uri(audio)
    kind, _, payload = uri.partition(",")
    decoded, rate = soundfile.read(io.BytesIO(base64.b64decode(payload)))
    assert kind == "data:audio/mpeg;base64"
    assert rate == 16_000
    assert abs(len(decoded) - len(audio)) < 3000
    middle = decoded[8000:24_000]
    assert abs(np.abs(np.fft.rfft(middle)).argmax() - 440) <= 1
    assert len(uri) < 32_000


def test_the_waveform_follows_the_loudness():
    audio = np.concatenate([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32)
    assert waveform(audio, bars=4) == [0, 0, 1, 1]


def test_silence_and_very_short_audio_have_a_waveform():
    assert waveform(np.zeros(100, np.float32), bars=4) == [0, 0, 0, 0]
    assert waveform(np.zeros(0, np.float32), bars=4) == [0, 0, 0, 0]
    assert len(waveform(np.ones(3, np.float32), bars=8)) == 8


def build(inputs, wanted):
    return build_samples(inputs, read_answers(inputs["evaluate"], inputs), wanted)


def test_clips_are_drawn_from_the_held_out_split_whatever_their_order(report_inputs, monkeypatch):
    answers = read_answers(report_inputs["evaluate"], report_inputs)
    turned = {
        task: {
            model: [dict(reversed(each.items())) for each in seeds]
            for model, seeds in found.items()
        }
        for task, found in answers.items()
    }
    monkeypatch.setattr(built, "FIRST", 2)
    found = build_samples(report_inputs, turned, 20)
    drawn = [sample.id for sample in found.drawn]
    assert drawn == [s.id for s in build(report_inputs, 20).drawn]
    assert drawn == built.draw([f"heldout-{n}" for n in range(12)])
    assert found.drawn_from == 12
    everything = [*found.drawn, *found.disputed, *found.further]
    assert len({sample.id for sample in everything}) == len(everything) == 12 + 3 + 4


def test_another_seed_draws_others(monkeypatch):
    ids = [str(n) for n in range(100)]
    drawn = built.draw(ids)
    assert len(set(drawn)) == 5
    monkeypatch.setattr(built, "SEED", 1)
    assert built.draw(ids) != drawn


def test_the_most_disputed_are_those_of_all_places_on_which_models_do_not_agree():
    told = {"a": {f"a{n}": 0.1 * n for n in range(6)}, "b": {"b": 0.35, "c": 0.01}}
    assert most_disputed(told) == {"a": ["a5", "a4", "a3", "a2"], "b": ["b"]}
    assert most_disputed({"a": {"x": 0.0}}) == {}


def test_sets_take_turns_and_a_small_one_gives_its_places_away():
    assert share_places({"a": 1, "b": 10, "c": 10}, 8) == {"a": 1, "b": 4, "c": 3}
    assert share_places({"a": 2}, 20) == {"a": 2}
    assert share_places({}, 20) == {}


def test_the_most_disputed_come_first_and_some_on_which_all_agree():
    told = {f"loud{n}": 0.5 - 0.01 * n for n in range(8)} | {f"quiet{n}": 0.0 for n in range(8)}
    assert choose_ids(told, 8) == [
        "loud0", "loud1", "loud2", "loud3", "loud4", "loud5", "quiet0", "quiet4",
    ]  # fmt: skip


def test_where_nothing_agrees_only_the_disputed_are_left():
    assert choose_ids({"a": 0.3, "b": 0.4}, 8) == ["b", "a"]
    assert choose_ids({"a": 0.0}, 1) == ["a"]


def test_a_sample_holds_every_task_and_model(report_inputs):
    sample = build(report_inputs, 8).drawn[0]
    transcribe, respond = sample.answers
    assert (transcribe.instruction, respond.instruction) == ("Transcribe.", "What is wanted?")
    assert respond.is_meaning
    assert [o.model.name for o in respond.outputs] == ["aura", "bridge", "cascade", "text"]
    number = sample.id.rpartition("-")[2]
    assert [o.transcript for o in respond.outputs] == [
        None, None, f"turn the lamp on {number}", None,
    ]  # fmt: skip
    assert transcribe.outputs[0].differences[-1].kind == "insert"
    assert sample.spoken is None
    assert sample.audio_uri.startswith("data:audio/mpeg")


def test_benchmarks_are_heard_too(report_inputs):
    found = build(report_inputs, 8).disputed
    assert {each.where for each in found} == {"Embedded: multiple choice"}
    assert len(found) == 4
    assert found[0].spoken.startswith("Which one")
    assert found[0].facts == ["clean"]
    assert found[0].answers[0].reference == "A: turn the lamp on"


def test_what_is_read_and_not_heard_is_no_sample(report_inputs):
    answers = read_answers(report_inputs["evaluate"], report_inputs)
    with_texts = {**answers, "text_choice": answers["spoken_choice"]}
    inputs = {**report_inputs, "benchmark.text_choice": "/nowhere"}
    assert build_samples(inputs, with_texts, 8) == build(report_inputs, 8)


def test_samples_are_sorted_by_disagreement(report_inputs):
    found = build(report_inputs, 8)
    for values in ([s.disagreement for s in each] for each in (found.disputed, found.further)):
        assert values == sorted(values, reverse=True)
    assert len(found.further) == 8
