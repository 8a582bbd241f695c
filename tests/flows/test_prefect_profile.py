"""The user's `prefect` commands find the server, and afterwards are as they were."""

import tomllib

import pytest

from flows import prefect_profile

URL = "http://127.0.0.1:4321/api"


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    path = tmp_path / "home" / "profiles.toml"
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(path))
    return lambda: tomllib.loads(path.read_text())


def write(path_text, tmp_path):
    path = tmp_path / "home" / "profiles.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(path_text)


def test_the_profile_is_made_and_taken_away(profiles):
    before = prefect_profile.use(URL)
    assert profiles()["active"] == "aura"
    assert profiles()["profiles"]["aura"] == {"PREFECT_API_URL": URL}
    prefect_profile.leave(before)
    assert profiles()["active"] == "ephemeral"
    assert "aura" not in profiles().get("profiles", {})


def test_a_users_own_profiles_stay_and_are_gone_back_to(profiles, tmp_path):
    write('active = "work"\n[profiles.work]\nPREFECT_API_URL = "http://work/api"\n', tmp_path)
    before = prefect_profile.use(URL)
    assert before == "work"
    assert prefect_profile.use(URL) is None, "a second time says nothing of the first"
    prefect_profile.leave(before)
    assert profiles() == {
        "active": "work", "profiles": {"work": {"PREFECT_API_URL": "http://work/api"}}
    }  # fmt: skip


def test_a_profile_chosen_since_stays_chosen(profiles, tmp_path):
    before = prefect_profile.use(URL)
    text = (tmp_path / "home" / "profiles.toml").read_text()
    write(text.replace('active = "aura"', 'active = "local"'), tmp_path)
    prefect_profile.leave(before)
    assert profiles()["active"] == "local"
