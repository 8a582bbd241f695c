"""Where drivers run; the two ways themselves are in test_local_driver.py and test_submit.py."""

import pytest

from aura_core.errors import AuraError
from aura_core.pipeline import plan
from aura_core.recipes import recipe
from tasks.launch import launcher


def test_an_unreachable_cluster_is_one_line(tmp_path):
    specs = plan(recipe("smoke"), str(tmp_path))
    with (
        pytest.raises(AuraError, match=r"no Ray job server at http://127\.0\.0\.1:9"),
        launcher("http://127.0.0.1:9", list(specs.values())) as launch,
    ):
        launch(specs["ingest"], None)
