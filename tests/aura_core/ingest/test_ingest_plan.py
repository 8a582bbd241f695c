import json

import pytest

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


def test_second_use_of_an_id_is_rejected(tmp_path):
    lines = [{"id": "a", "audio_filepath": f"{i}.wav", "text": "hi"} for i in range(2)]
    plan, items = planned(write_manifest(tmp_path, lines))
    assert [item.audio_uri for item in items] == [f"{tmp_path}/0.wav"]
    [rejection] = plan.rejections
    assert (rejection.id, rejection.path) == ("a", f"{tmp_path}/1.wav")
    assert rejection.reason == f"duplicate id: first used by {tmp_path}/0.wav"


def test_an_id_that_would_share_a_key_is_rejected(tmp_path):
    ids = ["a/b", safe_key("a/b"), "a_b"]
    lines = [{"id": each, "audio_filepath": "x.wav", "text": "hi"} for each in ids]
    plan, items = planned(write_manifest(tmp_path, lines))
    assert [item.id for item in items] == ["a/b", "a_b"]
    [rejection] = plan.rejections
    assert rejection.id == ids[1]
    assert rejection.reason.startswith("duplicate id: 'a/b' has the same key")


def test_duplicates_are_found_across_parts(tmp_path):
    lines = utterances(PART_ITEMS + 5)
    plan, _ = planned(write_manifest(tmp_path, [*lines, lines[0]]))
    assert len(plan.parts) == 2
    assert [rejection.kind for rejection in plan.rejections] == ["duplicate id"]
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
