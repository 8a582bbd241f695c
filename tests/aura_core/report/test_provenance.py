import json

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.ingest.utterances import write_table
from aura_core.report.provenance import (
    describe_splits,
    flatten,
    rejections,
    stage_title,
    summarise_stages,
)
from tests.utterance_rows import utterance_row

TASKS = ("transcribe/heldout", "respond/heldout", "transcribe/voice", "spoken_choice", "latency")


def corpus(uri, manifest=None, **speakers):
    rows = [
        utterance_row(f"{split}{number}", split=split, speaker=speaker)
        for split, found in speakers.items()
        for number, speaker in enumerate(found)
    ]
    write_table(str(uri), rows)
    made = Manifest(stage="ingest", stage_version=1, fingerprint="f", inputs={}, files=[],
                    identity={"manifest": manifest})  # fmt: skip
    write_manifest(str(uri), made)
    return describe_splits(str(uri), TASKS)


def test_who_speaks_is_read_from_the_corpus_and_not_from_the_name(tmp_path):
    strange = corpus(tmp_path / "a", train=["piper", "f2"], heldout=["piper"], voice=["flite"])
    assert strange == {
        "heldout": "sentences that were not trained on; spoken by piper, a voice of the training",
        "voice": "sentences that were not trained on; spoken by flite, a voice that training "
        "never heard",
    }
    # Where a machine lacks a second synthesiser, the voice is the training's.
    slowed = corpus(tmp_path / "b", train=["piper"], heldout=["piper"], voice=["piper"])
    assert slowed["voice"].endswith("spoken by piper, a voice of the training")


def test_a_corpus_of_ones_own(tmp_path):
    many = [f"s{number}" for number in range(9)]
    found = corpus(tmp_path, "calls.jsonl", train=many[:5], heldout=many, voice=[None])
    assert found == {
        "heldout": "kept out of the training; 9 voices, some of them new after training",
        "voice": "as its manifest names it",
    }


def test_settings_are_flattened_to_paths():
    value = {"lora": {"rank": 4, "targets": ["q", "v"]}, "phases": [{"name": "a", "steps": 2}]}
    assert flatten(value) == {
        "lora.rank": "4", "lora.targets": '["q", "v"]',
        "phases[0].name": "a", "phases[0].steps": "2",
    }  # fmt: skip


def test_rejections_are_counted_by_reason(tmp_path):
    records = [("a", "empty"), ("b", "too long"), ("c", "empty"), ("d", "empty"), ("e", "empty")]
    lines = [json.dumps({"id": i, "path": "x", "reason": reason}) for i, reason in records]
    store.write_text(f"{tmp_path}/rejected.jsonl", "\n".join(lines) + "\n")
    empty, too_long = rejections(str(tmp_path), examples=2)
    assert (empty.reason, empty.count, empty.examples) == ("empty", 4, ["a", "c"])
    assert too_long.count == 1


def test_stages_are_summarised_in_the_order_of_the_road(report_inputs):
    stages = summarise_stages(report_inputs)
    assert [stage.title for stage in stages] == [
        "Ingest", "Teacher cache", "Text LoRA", "Distillation", "Embedded: multiple choice",
        "Evaluation",
    ]  # fmt: skip
    assert stages[1].settings["teacher"] == "pinned:whisper-tiny.en"
    assert stages[1].metrics == {"parity.layer_04": "0.9571"}


def test_further_students_and_benchmarks_have_titles():
    assert stage_title("distil.bridge.2") == "Bridge, seed 2"
    assert stage_title("benchmark.spoken_facts") == "Embedded: facts"
