"""The YAML at the head of a card, by the rules of the hub."""

import re

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.utils import validate_repo_id
from transformers.pipelines import PIPELINE_REGISTRY

from aura_core.artifacts.manifest import Manifest
from aura_core.export.card_metadata import card_metadata

DEMO, OWN = (
    Manifest(
        stage="ingest", stage_version=1, fingerprint="f", identity=identity, inputs={}, files=[]
    )
    for identity in ({}, {"manifest": "/data/my.jsonl"})
)
# Of the hub's list: https://huggingface.co/docs/hub/repositories-licenses
LICENCES = {"apache-2.0", "mit", "other"}


def head(llm, ingest):
    return ModelCard(f"---\n{card_metadata(llm, ingest)}\n---\n# A model\n").data


@pytest.mark.parametrize("ingest", [DEMO, OWN, None])
@pytest.mark.parametrize(
    "llm", ["pinned:smollm2-135m-instruct", "hf:Qwen/Qwen2.5-0.5B-Instruct@main", "/models/mine"]
)
def test_each_field_is_one_that_the_hub_takes(llm, ingest):
    data = head(llm, ingest)
    if data.base_model is not None:
        validate_repo_id(data.base_model)
    if data.license is not None:
        assert data.license in LICENCES
    if data.license == "other":
        assert re.fullmatch(r"[a-z0-9-.]+", data.license_name)
        assert data.license_link.startswith("https://huggingface.co/")
    if data.language is not None:
        assert re.fullmatch(r"[a-z]{2}", data.language)
    assert data.library_name == "transformers"


def test_what_is_known_of_the_demo_is_there():
    data = head("pinned:smollm2-135m-instruct", DEMO)
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (data.license, data.language) == ("apache-2.0", "en")


def test_what_is_not_known_is_left_out():
    data = head("/models/mine", OWN)
    assert (data.base_model, data.license, data.language) == (None, None, None)
    assert head("hf:Qwen/Qwen2.5-0.5B-Instruct", OWN).base_model == "Qwen/Qwen2.5-0.5B-Instruct"


def test_no_pipeline_is_promised_that_transformers_has_not():
    data = head("pinned:smollm2-135m-instruct", DEMO)
    promised = {data.pipeline_tag, *data.tags} - {None}
    # The hub takes a tag of this name for the pipeline.
    assert "audio-text-to-text" not in promised
    assert not promised & set(PIPELINE_REGISTRY.get_supported_tasks())
