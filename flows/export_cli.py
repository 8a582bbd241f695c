"""`aura export`: a trained student as a model folder that transformers loads."""

import shutil
import sys
from pathlib import Path
from typing import Literal

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.artifacts.store import require_reachable, require_writable
from aura_core.config.overrides import MAIN
from aura_core.config.train import TRAIN_CONFIG
from flows.options import Selection
from flows.request import resolve_root


def export(
    *,
    model: str | None = None,
    to: Path,
    mode: Literal["merged", "gated"] | None = None,
    push_to_hub: str | None = None,
    selection: Selection = Selection(),  # noqa: B008 - frozen
) -> None:
    """Write a model folder that transformers loads without aura: weights, code, model card.

    It loads by transformers' `from_pretrained(..., trust_remote_code=True)`.

      aura export --recipe demo --to my-model
      aura export --model runs/distil/1737fc16986e --to my-model
      aura export --to my-model --push-to-hub ORG/NAME

    Parameters
    ----------
    model:
        A distil artifact. [default: that of the selected run]
    to:
        The folder to make; it must be new or empty.
    mode:
        `merged`: LoRA in the weights, for a student of lora.positions=all. `gated`: LoRA beside
        them and on at audio only, for lora.positions=audio. [default: the one that fits]
    push_to_hub:
        Then upload the folder to this repository of the Hugging Face hub; a new one is private.
    """
    uri = selection.plan()[MAIN].uri if model is None else model.rstrip("/")
    require_reachable(uri)
    require_manifest(uri)
    # Imports torch, transformers and peft.
    from aura_core.config.train import TrainConfig
    from aura_core.evaluation.find import figures_of
    from aura_core.export import card
    from aura_core.export.folder import evaluated_precision, export_student, require_empty

    require_empty(to)
    require_writable(str(to.absolute().parent))
    print(f"exporting {uri} ...", file=sys.stderr, flush=True)
    # An artifact lies at ROOT/distil/NAME, whatever the root of this call.
    root = resolve_root(uri.rsplit("/", 2)[0] if model else selection.root)
    config = TrainConfig.model_validate_json(store.read_text(store.join(uri, TRAIN_CONFIG)))
    # Beside its place, so that an interrupted export leaves nothing that looks like a model.
    draft = to.absolute().with_name(f".{to.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    precision = evaluated_precision(uri, root, config)
    origin = f"{uri.rpartition('/')[2]}, {figures_of(uri)}"
    made = export_student(uri, draft, mode, precision, origin)  # type: ignore[arg-type]
    text = card.model_card(uri, root, config, made, to.absolute().name, precision)
    (draft / card.NAME).write_text(text)
    draft.rename(to)
    print(f"model ({made}, {precision}): {to}")
    if push_to_hub is not None:
        print("on the hub:", card.push_to_hub(to, push_to_hub))
