from aura_core.evaluation.question_sets import QuestionSet, question_sets


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
