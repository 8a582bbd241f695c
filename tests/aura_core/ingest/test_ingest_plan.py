import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.config.run import IngestConfig
from aura_core.errors import AuraError
from aura_core.ingest.ingest_plan import PART_ITEMS, plan_ingest
from aura_core.ingest.utterances import safe_key


def write_manifest(folder, lines):
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def utterances(count, **fields):
    return [{"audio_filepath": f"{i}.wav", "text": "hi", **fields} for i in range(count)]


def planned(manifest, **settings):
    plan = plan_ingest(IngestConfig(manifest=manifest, **settings))
    return plan, [item for part in plan.parts for item in part.items]


def test_demo_is_planned_in_parts_of_every_split():
    plan = plan_ingest(IngestConfig())
    assert plan.num_listed == 2200
    assert [len(part) for part in plan.parts[:-1]] == [PART_ITEMS] * (len(plan.parts) - 1)
    assert [part.number for part in plan.parts] == list(range(len(plan.parts)))
    splits = set().union(*(part.splits for part in plan.parts))
    assert splits == {"train", "heldout", "phrasing", "voice"}


def test_an_id_that_another_recording_has_gets_its_number(tmp_path):
    lines = [{"id": "a", "audio_filepath": f"{i}.wav", "text": "hi"} for i in range(3)]
    lines.append({"id": "a-2", "audio_filepath": "3.wav", "text": "hi"})
    plan, items = planned(write_manifest(tmp_path, lines))
    assert [item.id for item in items] == ["a", "a-2", "a-3", "a-2-2"]
    assert not plan.rejections
    assert plan.renamed == 3


def test_two_questions_about_a_clip_are_two_utterances(tmp_path):
    line = {"audio_filepath": "a.wav", "text": "hi"}
    lines = [line | {"instruction": "Who?"}, line | {"instruction": "What?"}]
    _, items = planned(write_manifest(tmp_path, lines))
    assert [(item.id, item.instruction) for item in items] == [("a", "Who?"), ("a-2", "What?")]


def test_ids_that_would_share_a_key_are_told_apart(tmp_path):
    ids = ["a/b", safe_key("a/b"), "a_b"]
    lines = [{"id": each, "audio_filepath": "x.wav", "text": "hi"} for each in ids]
    plan, items = planned(write_manifest(tmp_path, lines))
    assert not plan.rejections
    assert len({safe_key(item.id) for item in items}) == 3


def test_duplicates_are_found_across_parts(tmp_path):
    lines = utterances(PART_ITEMS + 5)
    plan, _ = planned(write_manifest(tmp_path, [*lines, lines[0]]))
    assert len(plan.parts) == 2
    assert [rejection.kind for rejection in plan.rejections] == ["duplicate"]
    assert plan.num_listed == PART_ITEMS + 6


def test_missing_transcript_needs_pseudo_labels(tmp_path):
    manifest = write_manifest(tmp_path, [{"audio_filepath": "a.wav"}, *utterances(2)])
    plan, items = planned(manifest)
    assert [rejection.kind for rejection in plan.rejections] == ["no transcript"]
    assert "--pseudo-label" in plan.rejections[0].reason
    assert len(items) == 2
    assert len(planned(manifest, pseudo_label=True)[1]) == 3


def test_own_splits_are_kept(tmp_path):
    _, items = planned(write_manifest(tmp_path, utterances(30, split="test")))
    assert {item.split for item in items} == {"test"}


def test_split_depends_on_the_id_alone(tmp_path):
    splits = {
        item.id: item.split
        for item in planned(write_manifest(tmp_path, utterances(400)), heldout_share=0.1)[1]
    }
    assert 15 < list(splits.values()).count("heldout") < 75
    grown = planned(write_manifest(tmp_path, utterances(500)), heldout_share=0.1)[1]
    assert {item.id: item.split for item in grown if item.id in splits} == splits


@pytest.mark.parametrize(
    ("count", "share", "heldout"), [(2, 0.01, 1), (3, 0.99, 2), (1, 0.01, 0), (5, 0.0, 0)]
)
def test_small_corpora_have_both_splits(tmp_path, count, share, heldout):
    manifest = write_manifest(tmp_path, utterances(count))
    splits = [item.split for item in planned(manifest, heldout_share=share)[1]]
    assert splits.count("heldout") == heldout
    assert splits.count("train") == count - heldout


def test_limit_takes_the_first(tmp_path):
    _, items = planned(write_manifest(tmp_path, utterances(9)), limit=3)
    assert [item.id for item in items] == ["0", "1", "2"]


def test_empty_manifest_is_an_error(tmp_path):
    with pytest.raises(AuraError, match="names no utterance"):
        planned(write_manifest(tmp_path, []))


FIELDS = st.dictionaries(
    st.sampled_from(["audio_filepath", "id", "text", "transcript", "offset", "duration", "split"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 2), st.floats(), st.text(max_size=3),
        st.lists(st.text(max_size=2), max_size=2), st.sampled_from(["a.wav", "b.wav", "train"]),
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(FIELDS | st.integers() | st.text(max_size=3), min_size=1), st.booleans())
def test_what_is_planned_and_what_is_rejected_is_what_was_listed(lines, pseudo_label):
    with TemporaryDirectory() as folder:
        plan, items = planned(write_manifest(Path(folder), lines), pseudo_label=pseudo_label)
    assert len(items) + len(plan.rejections) == plan.num_listed == len(lines)
    assert len({safe_key(item.id) for item in items}) == len(items)
