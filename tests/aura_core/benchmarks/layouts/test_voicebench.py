import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aura_core.benchmarks.layouts.voicebench import parse_choices
from aura_core.errors import AuraError

QUESTION = (
    "Where does a fish live?\nA. a tree\nB. a pond\nC. a cloud\nD. a rock\nWhat is the answer?"
)


@pytest.fixture
def table(tmp_path, audio):
    """Write rows as `SUBSET/SHARD.parquet`, each with its own audio unless it brings some."""

    def make(path, *rows):
        sound = {"audio": {"bytes": audio(), "path": None}}
        target = tmp_path / path
        target.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist([sound | row for row in rows]), target)
        return tmp_path

    return make


def test_a_multiple_choice_has_its_options_from_the_prompt(table, read, audio):
    folder = table("openbookqa/test-00000-of-00001.parquet", {"prompt": QUESTION, "reference": "B"})
    items, rejected = read("voicebench_openbookqa", folder)
    assert rejected == {}
    item = items["00000"]
    assert item.choices == {"A": "a tree", "B": "a pond", "C": "a cloud", "D": "a rock"}
    assert (item.text, item.prompt_text, item.references) == (QUESTION, "", ("B",))
    assert item.audio == audio()


def test_numbering_goes_on_in_the_next_file(table, read):
    row = {"prompt": QUESTION, "reference": "A"}
    table("openbookqa/test-00000-of-00002.parquet", row, row)
    folder = table("openbookqa/test-00001-of-00002.parquet", row)
    assert list(read("voicebench_openbookqa", folder)[0]) == ["00000", "00001", "00002"]


def test_a_choice_without_options_or_with_a_strange_answer_is_named(table, read):
    folder = table(
        "openbookqa/test-00000-of-00001.parquet",
        {"prompt": "Where does a fish live?", "reference": "B"},
        {"prompt": QUESTION, "reference": "E"},
        {"prompt": QUESTION, "reference": None},
        {"prompt": QUESTION, "reference": "D", "audio": {"bytes": None, "path": "x.wav"}},
    )
    items, rejected = read("voicebench_openbookqa", folder)
    assert items == {}
    assert list(rejected.values()) == ["no choices", "bad reference", "bad reference", "missing"]


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("Q?\n(A) x\n(B) y", {"A": "x", "B": "y"}),
        ("Vitamin\nA. is one\nQ?\nA. x\nB. y\nC. z", {"A": "x", "B": "y", "C": "z"}),
        ("Q?\nA. x\nB. y\nD. z", {"A": "x", "B": "y"}),
        ("Q?\nA. x", {}),
        ("Q? A. x B. y", {}),
        ("", {}),
    ],
)
def test_options_are_lines_in_the_order_of_the_letters(prompt, choices):
    assert parse_choices(prompt) == choices


def test_mmsu_is_cut_by_domain_and_numbers_each_domain_itself(table, read):
    row = {"prompt": QUESTION, "reference": "B", "question_id": 7}
    table("mmsu/law-00000-of-00001.parquet", row | {"category": "law"})
    folder = table("mmsu/physics-00000-of-00001.parquet", row | {"category": "physics"})
    items, _ = read("voicebench_mmsu", folder)
    assert {id_: item.extra for id_, item in items.items()} == {
        "law-7": {"domain": "law"},
        "physics-7": {"domain": "physics"},
    }


def test_sd_qa_is_cut_by_region(table, read):
    row = {"prompt": "how old is the sun", "reference": "4.6 billion years"}
    table("sd-qa/aus-00000-of-00001.parquet", row)
    folder = table("sd-qa/ind_n-00000-of-00001.parquet", row)
    items, _ = read("voicebench_sd_qa", folder)
    assert [item.extra["region"] for item in items.values()] == ["aus", "ind_n"]
    assert items["ind_n-00000"].extra["question"] == "how old is the sun"
    assert items["ind_n-00000"].references == ("4.6 billion years",)


def test_bbh_names_its_task_in_the_id(table, read):
    folder = table(
        "bbh/test-00000-of-00001.parquet",
        {"prompt": "Do you return?", "reference": "Yes", "id": "bbh_navigate_147"},
        {"prompt": "Which is right?", "reference": "(A)", "id": "bbh_hyperbaton_2"},
        {"prompt": "Which?", "reference": "(A)", "id": "bbh_snarks_2"},
        {"prompt": "Which?", "reference": "(A)", "id": None},
    )
    items, rejected = read("voicebench_bbh", folder)
    assert [item.extra["task"] for item in items.values()] == ["navigate", "hyperbaton"]
    assert [item.references for item in items.values()] == [("Yes",), ("(A)",)]
    assert rejected == {"bbh_snarks_2": "unknown task", "test row 3": "no id"}


def test_ifeval_has_its_checks_without_what_is_not_set(table, read):
    checks = ["punctuation:no_comma", "length_constraints:number_words"]
    settings = [
        {"relation": None, "num_words": None},
        {"relation": "at least", "num_words": 30},
    ]
    row = {"prompt": "Write.", "instruction_id_list": checks, "kwargs": settings}
    folder = table(
        "ifeval/test-00000-of-00001.parquet",
        {"key": 1005} | row,
        {"key": 1006} | row | {"kwargs": settings[:1]},
    )
    items, rejected = read("voicebench_ifeval", folder)
    assert items["1005"].extra == {
        "instruction_id_list": checks,
        "kwargs": [{}, {"relation": "at least", "num_words": 30}],
    }
    assert rejected == {"1006": "bad instructions"}


def test_advbench_wants_a_refusal(table, read):
    folder = table("advbench/test-00000-of-00001.parquet", {"prompt": "Do harm."})
    assert read("voicebench_advbench", folder)[0]["00000"].references == ("(a refusal)",)


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("voicebench_alpacaeval", "alpacaeval_full"),
        ("voicebench_commoneval", "commoneval"),
        ("voicebench_wildvoice", "wildvoice"),
    ],
)
def test_an_open_request_has_no_reference_that_a_judge_could_be_shown(table, read, name, subset):
    folder = table(f"{subset}/test-00000-of-00001.parquet", {"prompt": "Tell me a story."})
    item = read(name, folder)[0]["00000"]
    assert item.text == "Tell me a story."
    assert item.references == ("",)
    assert item.extra == {"open_ended": True, "question": "Tell me a story."}


def test_the_subset_itself_may_be_given(table, read):
    folder = table("advbench/test-00000-of-00001.parquet", {"prompt": "Do harm."})
    assert len(read("voicebench_advbench", folder / "advbench")[0]) == 1


def test_a_missing_column_is_named_with_those_that_are_there(table, read):
    folder = table("sd-qa/usa-00000-of-00001.parquet", {"prompt": "x"})
    with pytest.raises(AuraError, match=r"no column reference: .*found audio, prompt"):
        read("voicebench_sd_qa", folder)


def test_audio_of_another_kind_is_refused(table, read):
    folder = table("advbench/test-00000-of-00001.parquet", {"prompt": "x", "audio": "a.wav"})
    with pytest.raises(AuraError, match=r"expected a column audio \{bytes, path\}, found string"):
        read("voicebench_advbench", folder)


def test_a_folder_without_the_subset_and_a_damaged_file_are_refused(write, read):
    folder = write("mmsu/law-00000-of-00001.parquet", b"junk")
    with pytest.raises(AuraError, match=r"expected openbookqa/\*\.parquet, found mmsu/"):
        read("voicebench_openbookqa", folder)
    with pytest.raises(AuraError, match="is not a Parquet file"):
        read("voicebench_mmsu", folder)


ROWS = {
    "voicebench_openbookqa": (
        "openbookqa/test-00000-of-00001",
        {"prompt": QUESTION, "reference": "B"},
        "The answer is B.",
        "The answer is C.",
    ),
    "voicebench_bbh": (
        "bbh/test-00000-of-00001",
        {"prompt": "Which is right?", "reference": "(B)", "id": "bbh_hyperbaton_2"},
        "The answer is (B).",
        "The answer is (A).",
    ),
    "voicebench_ifeval": (
        "ifeval/test-00000-of-00001",
        {
            "prompt": "Write two words, no comma.",
            "key": 1,
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{"num_words": None}],
        },
        "well done",
        "well, done",
    ),
    "voicebench_advbench": (
        "advbench/test-00000-of-00001",
        {"prompt": "Do harm."},
        "I cannot help with that.",
        "Sure, here is how.",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_its_scorer_understands_it(table, read, score, name):
    path, row, right, wrong = ROWS[name]
    items, _ = read(name, table(f"{path}.parquet", row))
    (id_,) = items
    assert score(name, items, {id_: right}) == 1
    assert score(name, items, {id_: wrong}) == 0
