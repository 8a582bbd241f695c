"""What the Hugging Face hub reads of a model card: the YAML at its head."""

from typing import Any

from huggingface_hub import ModelCardData

from aura_core.artifacts.manifest import Manifest
from aura_core.models.references import parse

# What the packages of pinned models hold, by its name on the hub and the licence there.
_ON_THE_HUB = {
    "pinned:smollm2-135m-instruct": ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
}
# There is no `pipeline_tag`: no pipeline of transformers takes audio and text to text.
_TAGS = ["audio", "speech", "custom_code"]


def card_metadata(llm: str, ingest: Manifest | None) -> str:
    """Return the YAML without its fences; what is not known is left out.

    Args:
        llm: the reference of the LLM that was trained.
        ingest: of the speech it was trained on.
    """
    base_model, license_id = _ON_THE_HUB.get(llm, (None, None))
    more: dict[str, Any] = {}
    reference = parse(llm)
    if reference.kind == "hf":
        base_model, license_id = reference.name, "other"
        # The hub wants to know where another licence stands.
        more = {
            "license_name": "that-of-the-base-model",
            "license_link": f"https://huggingface.co/{base_model}",
        }
    data = ModelCardData(
        library_name="transformers",
        base_model=base_model,
        license=license_id,
        language=_language(ingest),
        tags=_TAGS,
        **more,
    )
    return data.to_yaml().strip()


def _language(ingest: Manifest | None) -> str | None:
    """ISO 639-1, where it is certain: the demo corpus is English, other speech may not be."""
    if ingest is None or ingest.identity.get("manifest") is not None:
        return None
    return "en"
