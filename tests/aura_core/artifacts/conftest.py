"""Artifact roots on both kinds of storage."""

import uuid

import pytest

from aura_core.artifacts import store


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path) -> str:
    if request.param == "local":
        return str(tmp_path)
    return store.join(request.getfixturevalue("s3_bucket"), uuid.uuid4().hex)
