import pytest

from aura_core.cache.utterances import list_candidates, read_utterances
from aura_core.errors import AuraError


def test_candidates_are_those_of_the_splits(ingest_uri, rows):
    candidates = list_candidates(ingest_uri, ("heldout",))
    assert [candidate.id for candidate in candidates] == ["clip-8"]
    assert candidates[0].duration_s == rows[8]["duration_s"]


def test_rows_come_in_the_order_asked_for(ingest_uri, rows):
    read = read_utterances(ingest_uri, ["part-00000.parquet"], ["clip-5", "clip-0"])
    assert [row["id"] for row in read] == ["clip-5", "clip-0"]
    assert read[1]["audio"]["bytes"] == rows[0]["audio"]["bytes"]


def test_a_missing_utterance_is_named(ingest_uri):
    with pytest.raises(AuraError, match="no longer holds utterance gone"):
        read_utterances(ingest_uri, ["part-00000.parquet"], ["clip-0", "gone"])


def test_an_unknown_split_lists_the_known_ones(ingest_uri):
    with pytest.raises(AuraError, match=r"\['heldout', 'train'\]"):
        list_candidates(ingest_uri, ("test",))


def test_no_table_is_refused(tmp_path):
    with pytest.raises(AuraError, match="run the ingest stage first"):
        list_candidates(str(tmp_path), ("train",))
