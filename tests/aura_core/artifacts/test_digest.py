import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.artifacts.digest import canonical_json, file_sha256, fingerprint, folder_sha256
from aura_core.errors import AuraError


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AURA_CACHE", str(tmp_path / "cache"))


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert file_sha256(path) == expected
    monkeypatch.delattr(hashlib, "file_digest")
    assert file_sha256(path) == expected


def test_a_changed_file_of_the_same_size_is_read_again(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    file_sha256(path)
    path.write_bytes(b"Weights")
    assert file_sha256(path) == hashlib.sha256(b"Weights").hexdigest()


def test_a_damaged_note_is_ignored(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    first = file_sha256(path)
    for note in (tmp_path / "cache" / "digests").iterdir():
        note.write_text("{")
    assert file_sha256(path) == first


def test_a_folder_digest_sees_names_and_contents(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "sub" / "b").write_text("2")
    seen = {folder_sha256(folder)}
    (folder / "a").rename(folder / "c")
    seen.add(folder_sha256(folder))
    (folder / "sub" / "b").write_text("3")
    seen.add(folder_sha256(folder))
    assert len(seen) == 3


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_the_order_of_keys_does_not_matter(value):
    assert canonical_json(value) == canonical_json(dict(reversed(list(value.items()))))


@given(values, values)
def test_encodings_are_equal_only_for_what_json_cannot_tell_apart(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) == same


def test_the_fingerprint_of_a_known_payload_never_changes():
    value = fingerprint("distil", 1, {"seed": 0, "rate": 0.5, "name": "ä"}, {"cache": "abc"})
    assert value == ("8232c0b6109d6f69ddde57b13195a57d4736049114396f3c84f7254c4832ae89")


def test_every_part_counts():
    base = fingerprint("a", 1, {"x": 1}, {"i": "1"})
    others = {
        fingerprint("b", 1, {"x": 1}, {"i": "1"}),
        fingerprint("a", 2, {"x": 1}, {"i": "1"}),
        fingerprint("a", 1, {"x": 2}, {"i": "1"}),
        fingerprint("a", 1, {"x": 1}, {"i": "2"}),
        fingerprint("a", 1, {"x": 1}, {"j": "1"}),
    }
    assert base not in others
    assert len(others) == 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [print]}, r"\$\.a\[0\]: builtin_function_or_method"),
        ({"a": object()}, r"\$\.a: object"),
        ({"a": math.nan}, r"\$\.a: nan is not a finite"),
        ({1: "a"}, "key 1 is not a string"),
        ({"a": {1, 2}}, "set has no canonical"),
    ],
)
def test_what_has_no_stable_encoding_is_refused(value, message):
    with pytest.raises(AuraError, match=message):
        canonical_json(value)
