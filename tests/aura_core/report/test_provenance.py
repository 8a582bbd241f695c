import json

from aura_core.artifacts import store
from aura_core.report.provenance import flatten, rejections, stage_title, summarise_stages


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
