from aura_core.report.samples import build_samples, choose_ids, read_all_predictions


def test_the_splits_take_turns_and_a_small_one_gives_its_places_away():
    ids = {"a": ["a0"], "b": [f"b{i}" for i in range(10)], "c": [f"c{i}" for i in range(10)]}
    chosen = choose_ids(ids, 8)
    assert {split: len(found) for split, found in chosen.items()} == {"a": 1, "b": 4, "c": 3}
    assert chosen["b"] == ["b0", "b2", "b5", "b7"]


def test_more_samples_than_utterances_gives_all():
    assert choose_ids({"a": ["x", "y"]}, 20) == {"a": ["x", "y"]}
    assert choose_ids({}, 20) == {}


def test_a_sample_holds_every_task_and_model(report_inputs):
    predictions = read_all_predictions(report_inputs["evaluate"])
    samples = build_samples(report_inputs["ingest"], predictions, 4)
    assert [sample.split for sample in samples] == ["heldout", "heldout", "voice", "voice"]
    transcribe, respond = samples[0].answers
    assert (transcribe.task, respond.task) == ("transcribe", "respond")
    assert respond.is_meaning
    assert [output.model.name for output in respond.outputs] == ["aura", "cascade", "text"]
    assert [output.transcript for output in respond.outputs] == [None, "turn the lamp on 0", None]
    assert transcribe.outputs[0].differences[-1].kind == "insert"
    assert samples[0].audio_uri.startswith("data:audio/mpeg")
