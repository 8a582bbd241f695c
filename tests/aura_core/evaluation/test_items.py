import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.items import (
    QuestionSet,
    load_items,
    question_sets,
    tasks_by_split,
    with_transcripts,
)
from aura_core.ingest.utterances import write_table


def test_the_corpus_asks_its_tasks_and_a_benchmark_its_own():
    sets = question_sets(
        {"heldout": ["transcribe", "respond"]}, ["ingest", "distil", "benchmark.spoken_choice"]
    )
    assert [(s.name, s.source, s.scorer) for s in sets] == [
        ("transcribe/heldout", "ingest", "wer"),
        ("respond/heldout", "ingest", "meaning"),
        ("spoken_choice", "benchmark.spoken_choice", "choice"),
    ]
    assert [s.label for s in sets] == ["heldout.transcribe", "heldout.respond", "spoken_choice"]


def test_the_asr_hears_each_split_and_benchmark_once():
    sets = question_sets({"heldout": ["transcribe", "respond"]}, ["benchmark.spoken_choice"])
    heard = [s.transcription() for s in sets]
    assert heard[0] == heard[1] == sets[0]
    assert (heard[2].name, heard[2].source, heard[2].scorer) == (
        "transcribe/spoken_choice",
        "benchmark.spoken_choice",
        "wer",
    )
    assert heard[2].label == "spoken_choice.transcribe"


def test_slices_and_names_cost_no_inference():
    one = QuestionSet("a", "benchmark.a", "wer", slices=("voice",))
    other = QuestionSet("a", "benchmark.a", "choice")
    assert one.identity == other.identity


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
