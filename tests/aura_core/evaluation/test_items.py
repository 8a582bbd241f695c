import pytest

from aura_core.corpus.table import write_table
from aura_core.errors import AuraError
from aura_core.evaluation.items import load_items, tasks_by_split, with_transcripts
from aura_core.evaluation.question_sets import question_sets

TRANSCRIBE, RESPOND, PLAIN = question_sets(
    {"heldout": ["transcribe", "respond"], "plain": ["respond"]}, ()
)


@pytest.fixture
def corpus(tmp_path, row):
    rows = [
        row(f"{split}-{i}", f"text {i}", split, f"answer {i}" if answered else None)
        for split, answered in (("train", True), ("heldout", True), ("plain", False))
        for i in range(6)
    ]
    write_table(str(tmp_path), rows)
    return str(tmp_path)


def test_all_splits_but_train_are_evaluated_on_the_tasks_they_have(corpus):
    assert tasks_by_split(corpus, None) == {
        "heldout": ["transcribe", "respond"],
        "plain": ["transcribe"],
    }
    assert list(tasks_by_split(corpus, ["train"])) == ["train"]


def test_an_unknown_split_is_named(corpus):
    with pytest.raises(AuraError, match="no split 'test' in the corpus, only heldout"):
        tasks_by_split(corpus, ["test"])


def test_a_task_gives_an_item_its_question_and_answer(corpus):
    transcribe = {item.id: item for item in load_items(corpus, TRANSCRIBE, None)}
    respond = {item.id: item for item in load_items(corpus, RESPOND, None)}
    assert transcribe["heldout-1"].instruction == "Transcribe."
    assert transcribe["heldout-1"].references == ("text 1",)
    assert respond["heldout-1"].instruction == "What is wanted?"
    assert respond["heldout-1"].references == ("answer 1",)
    assert load_items(corpus, PLAIN, None) == []
    assert respond["heldout-1"].audio.shape == (1600,)


def test_fewer_items_are_the_first_of_more(corpus):
    ids = [item.id for item in load_items(corpus, TRANSCRIBE, None)]
    assert ids != sorted(ids)
    assert [item.id for item in load_items(corpus, TRANSCRIBE, 3)] == ids[:3]


def test_transcripts_are_attached_by_id(corpus):
    items = load_items(corpus, TRANSCRIBE, 2)
    texts = {item.id: f"heard {item.id}" for item in items}
    assert [i.transcript for i in with_transcripts(items, texts)] == [texts[i.id] for i in items]
