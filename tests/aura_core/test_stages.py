import pytest

from aura_core.config.benchmarks import SCORER_VERSIONS
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.config.run import BenchmarkConfig
from aura_core.errors import AuraError
from aura_core.stages import STAGES, StageSpec, folder_digest, is_complete, pinned_benchmark, plan


def test_a_folder_s_digest_is_that_of_its_names_and_contents(tmp_path):
    def digest(name, **files):
        for file, content in files.items():
            (tmp_path / name / "deep").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "deep" / file).write_text(content)
        return folder_digest(str(tmp_path / name))

    first = digest("first", a="1", b="2")
    assert digest("moved", a="1", b="2") == first
    assert (
        len({first, digest("c", a="1", b="3"), digest("d", a="1", c="2"), digest("e", a="1")}) == 4
    )


def test_no_folder_is_a_mistake(tmp_path):
    with pytest.raises(AuraError, match="does not exist or is empty"):
        folder_digest(str(tmp_path / "none"))


def test_texts_that_are_read_do_not_depend_on_a_voice():
    read, spoken = (
        pinned_benchmark(BenchmarkConfig(name=name)) for name in ("text_choice", "spoken_choice")
    )
    assert read.keys() == {"version", "texts"}
    assert spoken.keys() > read.keys()


def changed_stages(*assignments: str) -> set[str]:
    base = plan(recipe("smoke"), "/r")
    other = plan(override(recipe("smoke"), assignments), "/r")
    return {stage for stage in base if base[stage].fingerprint != other[stage].fingerprint}


def test_a_stage_reads_earlier_ones_only():
    seen: set[str] = set()
    for name, stage in STAGES.items():
        assert set(stage.inputs) <= seen
        seen.add(name)


def test_the_plan_repeats():
    assert plan(recipe("smoke"), "/r") == plan(recipe("smoke"), "/r/")


@pytest.mark.parametrize(
    ("assignment", "stages"),
    [
        ("report.samples=3", {"report"}),
        ("evaluate.max_items=1", {"evaluate", "report"}),
        ("distil.seed=5", {"distil", "evaluate", "report"}),
        ("text_lora.seed=5", {"text_lora", "distil", "evaluate", "report"}),
        (
            "teacher_cache.layers=[4]",
            {"teacher_cache", "text_lora", "distil", "evaluate", "report"},
        ),
        ("ingest.demo.seed=5", set(STAGES) - {"targets", "benchmark"}),
        ("distil.runtime.workers=1", set()),
    ],
)
def test_a_change_reaches_exactly_what_lies_downstream(assignment, stages):
    assert changed_stages(assignment) == stages


def test_targets_are_a_stage_only_where_they_are_used():
    used = plan(override(recipe("smoke"), ["targets.top_k=4"]), "/r")
    assert list(used) == [stage for stage in STAGES if stage != "benchmark"]
    assert used["distil"].inputs["targets"] == used["targets"].uri
    unused = plan(recipe("smoke"), "/r")
    assert "targets" not in unused
    assert "targets" not in unused["distil"].inputs


def test_a_benchmark_is_made_alone_and_changes_the_evaluation_only():
    base = plan(recipe("smoke"), "/r")
    added = plan(override(recipe("smoke"), ["benchmarks.spoken_choice=embedded"]), "/r")
    assert list(added) == [*list(base)[:-2], "benchmark.spoken_choice", "evaluate", "report"]
    changed = {name for name in base if base[name].fingerprint != added[name].fingerprint}
    assert changed == {"evaluate", "report"}
    made = added["benchmark.spoken_choice"]
    assert made.inputs == {}
    assert added["evaluate"].inputs["benchmark.spoken_choice"] == made.uri
    again = plan(
        override(
            recipe("smoke"),
            ["benchmarks={spoken_facts: embedded, spoken_choice: embedded}", "distil.seed=3"],
        ),
        "/r",
    )
    assert again["benchmark.spoken_choice"] == made


def test_a_new_version_of_a_scorer_scores_anew_and_trains_nothing(monkeypatch):
    base = plan(recipe("smoke"), "/r")
    monkeypatch.setitem(SCORER_VERSIONS, "wer", 99)
    other = plan(recipe("smoke"), "/r")
    assert {name for name in base if base[name] != other[name]} == {"evaluate", "report"}


def test_the_root_is_no_part_of_the_identity():
    here, there = (plan(recipe("smoke"), root) for root in ("/r", "s3://bucket/x"))
    assert [spec.fingerprint for spec in here.values()] == [
        spec.fingerprint for spec in there.values()
    ]
    assert there["distil"].uri.startswith("s3://bucket/x/distil/")
    assert there["distil"].spec_uri == f"{there['distil'].uri}/spec.json"
    assert there["distil"].inputs == {
        name: there[name].uri for name in ("teacher_cache", "text_lora")
    }


def test_a_spec_survives_its_file():
    for spec in plan(recipe("smoke"), "/r").values():
        assert StageSpec.model_validate_json(spec.model_dump_json()) == spec


def test_the_content_of_a_manifest_is_pinned(tmp_path):
    audio, manifest = tmp_path / "a.wav", tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "a.wav", "text": "hello"}\n')
    fingerprints = set()
    for content in (b"one", b"two", b"one"):
        audio.write_bytes(content)
        config = override(recipe("smoke"), [f"ingest.manifest={manifest}"])
        fingerprints.add(plan(config, "/r")["ingest"].fingerprint)
    assert len(fingerprints) == 2


@pytest.mark.parametrize(
    "fields", [("distil.llm", "text_lora.llm"), ("teacher_cache.teacher",), ("evaluate.asr",)]
)
def test_an_unknown_model_is_a_one_line_error(fields):
    config = override(recipe("smoke"), [f"{field}=pinned:nothing" for field in fields])
    with pytest.raises(AuraError, match="no pinned model 'nothing'"):
        plan(config, "/r")


def test_complete_means_that_the_manifest_is_there(smoke_root, tmp_path):
    assert all(map(is_complete, plan(recipe("smoke"), smoke_root).values()))
    assert not any(map(is_complete, plan(recipe("smoke"), str(tmp_path)).values()))
