from aura_core.evaluation.prediction_files import read_answers
from aura_core.report import samples as built
from aura_core.report.samples import build_samples, choose_ids, share_places


def build(inputs, wanted):
    return build_samples(inputs, read_answers(inputs["evaluate"], inputs), wanted)


def samples(inputs, wanted):
    return build(inputs, wanted).telling


def test_the_first_of_the_held_out_split_are_shown_whatever_came_of_them(
    report_inputs, monkeypatch
):
    answers = read_answers(report_inputs["evaluate"], report_inputs)
    # The order of the evaluation, not of the corpus.
    answers = {
        task: {
            model: [dict(reversed(each.items())) for each in seeds]
            for model, seeds in found.items()
        }
        for task, found in answers.items()
    }
    monkeypatch.setattr(built, "FIRST", 2)
    found = build_samples(report_inputs, answers, 20)
    assert [sample.id for sample in found.first] == ["heldout-4", "heldout-3"]
    assert all(sample.where == "heldout" for sample in found.first)
    assert len(found.telling) == 3 + 3 + 4, "each is shown once"
    assert not {"heldout-4", "heldout-3"} & {sample.id for sample in found.telling}


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
    sample = build(report_inputs, 8).first[0]
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
    found = [s for s in samples(report_inputs, 8) if s.where == "Embedded: multiple choice"]
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
    values = [s.disagreement for s in samples(report_inputs, 8)]
    assert values == sorted(values, reverse=True)
    assert len(values) == 3 + 4
