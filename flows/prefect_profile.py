"""The profile that makes the user's own `prefect` commands talk to the server of `aura up`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_PROFILES_PATH,
    load_profiles,
    save_profiles,
    temporary_settings,
)

from flows.local_prefect import quiet_home

NAME = "aura"
_PREFECTS_DEFAULT = "ephemeral"


def use(url: str) -> str | None:
    """Make a profile for this server the active one; return the one that was."""
    with _users_profiles():
        profiles = load_profiles()
        before = profiles.active_name
        profiles.update_profile(NAME, {PREFECT_API_URL: url}, source=_path())
        profiles.set_active(NAME)
        save_profiles(profiles)
    return None if before == NAME else before


def leave(before: str | None) -> None:
    """Take our profile away; go back to `before` unless the user has chosen another since."""
    with _users_profiles():
        profiles = load_profiles()
        if NAME not in profiles.names:
            return
        profiles.remove_profile(NAME)
        if profiles.active_name == NAME:
            known = before in profiles.names
            profiles.set_active(before if known else _PREFECTS_DEFAULT)
        save_profiles(profiles)


def _path() -> Path:
    """Where `prefect` looks when it is called by itself, not from here."""
    if path := os.environ.get("PREFECT_PROFILES_PATH"):
        return Path(path)
    home = os.environ.get("PREFECT_HOME", "")
    return (Path.home() / ".prefect" if home in ("", quiet_home()) else Path(home)) / (
        "profiles.toml"
    )


@contextmanager
def _users_profiles() -> Iterator[None]:
    with temporary_settings({PREFECT_PROFILES_PATH: _path()}):
        yield
