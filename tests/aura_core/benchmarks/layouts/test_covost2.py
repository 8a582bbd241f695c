import pytest

from aura_core.errors import AuraError

SPLIT = "covost_v2.en_de.test.tsv"


@pytest.fixture
def clips(write, audio):
    for name in ("common_voice_en_1", "common_voice_en_2"):
        folder = write(f"en/clips/{name}.mp3", audio(1.0, 48_000, "MP3"))
    return folder


@pytest.fixture
def split(clips, write):
    return write(
        f"en/{SPLIT}",
        "path\tsentence\ttranslation\tclient_id\n"
        'common_voice_en_1.mp3\t"No, she said.\tSie sagte „nein.\tc1\n'
        "common_voice_en_2.mp3\tYes.\tJa.\tc2\n",
    )


def test_a_split_s_own_table_is_read(split, read):
    items, rejected = read("covost2_en_de", split)
    assert rejected == {}
    item = items["common_voice_en_1"]
    assert item.text == '"No, she said.'
    assert item.references == ("Sie sagte „nein.",)
    assert item.extra == {"target_language": "de"}
    assert "German" in item.prompt_text
    assert len(items) == 2


def test_published_tables_are_joined_and_only_the_test_set_is_taken(clips, read, write):
    write(
        "en/validated.tsv",
        "client_id\tpath\tsentence\nc1\tcommon_voice_en_1.mp3\tYes.\n",
    )
    folder = write(
        "covost_v2.en_zh-CN.tsv",
        "path\ttranslation\tsplit\ncommon_voice_en_1.mp3\t是的。\ttest\n"
        "common_voice_en_2.mp3\t不。\ttrain\n",
    )
    items, rejected = read("covost2_en_zh_cn", folder)
    assert rejected == {}
    assert list(items) == ["common_voice_en_1"]
    assert items["common_voice_en_1"].text == "Yes."
    assert items["common_voice_en_1"].references == ("是的。",)
    assert items["common_voice_en_1"].extra == {"target_language": "zh-CN"}


def test_broken_rows_are_named(split, read, write):
    write(f"en/{SPLIT}", (split / "en" / SPLIT).read_text() + "no.mp3\ta\tb\tc\n\ta\tb\tc\n")
    items, rejected = read("covost2_en_de", split)
    assert len(items) == 2
    assert rejected == {"no": "missing", "row 5": "bad row"}


def test_a_missing_column_is_named(split, read, write):
    write(f"en/{SPLIT}", "path\ttranslation\n")
    with pytest.raises(AuraError, match=r"no column sentence: .*found path, translation"):
        read("covost2_en_de", split)


def test_another_pair_or_no_clips_is_refused(split, read, write, tmp_path):
    with pytest.raises(AuraError, match=r"expected covost_v2\.en_zh-CN\.test\.tsv, or"):
        read("covost2_en_zh_cn", split)
    write(f"alone/{SPLIT}", "path\tsentence\ttranslation\n")
    with pytest.raises(AuraError, match=r"CoVoST 2 en-de test: expected clips/\*\.mp3"):
        read("covost2_en_de", tmp_path / "alone")


def test_its_scorer_understands_it(split, read, score):
    items, _ = read("covost2_en_de", split)
    right = {id_: item.references[0] for id_, item in items.items()}
    assert score("covost2_en_de", items, right) == pytest.approx(100)
    assert score("covost2_en_de", items, dict.fromkeys(right, "Nie.")) < 20
