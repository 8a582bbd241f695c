"""The model card of an exported student, filled from its run, and its way to the hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, StrictUndefined

from aura_core.artifacts.manifest import Manifest, read_manifest, require_manifest
from aura_core.config.benchmarks import BENCHMARKS, is_text_task
from aura_core.config.overrides import AURA, by_model
from aura_core.config.stage import MAX_CLIP_S
from aura_core.config.train import Phase, TrainConfig
from aura_core.errors import AuraError
from aura_core.evaluation.cells import BASE
from aura_core.evaluation.find import newest_evaluation_of
from aura_core.evaluation.results import Results, Row, read_table
from aura_core.models.references import parse

NAME = "README.md"
USAGE = """\
from transformers import AutoModelForCausalLM, AutoProcessor
processor, model = (each.from_pretrained("FOLDER", trust_remote_code=True) for each in (AutoProcessor, AutoModelForCausalLM))
text = processor.apply_chat_template([{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Transcribe."}]}], add_generation_prompt=True)
inputs = processor(text=text, audio="question.wav")  # or samples, with their sampling_rate=
print(processor.decode(model.generate(**inputs)[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""  # noqa: E501 - five lines, as a user would paste them
_UNKNOWN = "unknown here: see its own page"
_LICENCES = {
    "pinned:smollm2-135m-instruct": "Apache-2.0 (SmolLM2)",
    "pinned:whisper-tiny.en": "MIT (OpenAI Whisper)",
}
# What the packages of pinned models hold, by its name on the hub and the licence there.
_ON_THE_HUB = {
    "pinned:smollm2-135m-instruct": ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
}
# There is no `pipeline_tag`: no pipeline of transformers takes audio and text to text.
_TAGS = ["audio", "speech", "custom_code"]


@dataclass(frozen=True)
class TextLine:
    """One metric of what is left of the LLM's ability with text: value (interval)."""

    title: str
    metric: str
    base: str
    text: str
    student: str
    n: int


def model_card(
    uri: str, root: str, config: TrainConfig, mode: str, name: str, precision: str
) -> str:
    """Return the README of an exported `distil` artifact.

    Args:
        uri: of the artifact.
        root: below which evaluations of it are looked for.
        config: it was trained with.
        mode: "merged" or "gated".
        name: the card's title.
        precision: "fp32" or "bf16", of the LLM's weights.

    Raises:
        AuraError: if the artifact or its evaluation is incomplete or damaged.
    """
    manifest = require_manifest(uri)
    cache = read_manifest(manifest.inputs.get("teacher_cache", ""))
    ingest = read_manifest(cache.inputs.get("ingest", "")) if cache else None
    role, results = evaluation_of(uri, root)
    rows = [row for row in results.rows if row.slice is None]
    template = resources.files("aura_core.export").joinpath("card.md.j2").read_text()
    environment = Environment(autoescape=False, undefined=StrictUndefined)
    return environment.from_string(template).render(
        metadata=card_metadata(config.llm, ingest),
        name=name,
        precision=precision,
        config=config,
        mode=mode,
        text_lora="text_lora" in manifest.inputs,
        usage=USAGE.replace("FOLDER", name),
        max_clip_s=round(MAX_CLIP_S),
        transformers=manifest.provenance.get("transformers", "5"),
        data=_data(cache, ingest),
        losses=_losses,
        rows=[row for row in rows if not is_text_task(row.task)],
        note=results.note,
        text=text_lines(rows, model_of(role)),
        role=role,
        licences=_licences(cache, config),
        provenance={"artifact": manifest.fingerprint, **manifest.provenance},
    )


def evaluation_of(uri: str, root: str) -> tuple[str, Results]:
    """Return an artifact's role in its newest evaluation, and the results of that."""
    found = newest_evaluation_of(uri, root)
    if found is None:
        return "", Results(rows=[])
    evaluate, _, role = found
    return role, read_table(evaluate)


def model_of(role: str) -> str:
    """What rows call an input of an evaluation: `aura` the student of `distil`."""
    return next(iter(by_model([role])), AURA)


def text_lines(rows: Sequence[Row], model: str) -> list[TextLine]:
    """A line for each metric of the benchmarks of texts, where the student was asked."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if is_text_task(row.task):
            found.setdefault((row.task, row.metric), {})[row.model] = row
    return [
        TextLine(
            title=BENCHMARKS[task].title,
            metric=metric,
            base=_figure(figures[BASE]),
            text=_figure(figures["text"]),
            student=_figure(figures[model]),
            n=figures[model].n,
        )
        for (task, metric), figures in found.items()
        if model in figures
    ]


def _figure(row: Row) -> str:
    return f"{row.value:.3f} ({row.ci_low:.3f} to {row.ci_high:.3f})"


def _name(uri: str) -> str:
    return uri.rstrip("/").rsplit("/", 1)[-1]


def _data(cache: Manifest | None, ingest: Manifest | None) -> dict[str, str]:
    if cache is None or ingest is None:
        return {"training speech": "its artifacts are not here any more"}
    given = ingest.identity.get("manifest")
    return {
        "training speech": (
            "synthetic voices that speak sentences of a grammar" if given is None
            else f"`{_name(str(given))}`, given by the one who trained it"
        ),
        **(
            {"transcripts it came without": f"written by the ASR `{ingest.identity.get('asr')}`"}
            if ingest.identity.get("pseudo_label") else {}
        ),
        "speech encoder of the teacher cache": f"`{cache.identity.get('teacher')}`",
        **{name.replace("_", " "): str(count) for name, count in ingest.counts.items()},
    }  # fmt: skip


def _losses(phase: Phase) -> str:
    names = ("ce", "kl", "distil", "ctc", "moments")
    parts = [f"{name} {weight:g}" for name in names if (weight := getattr(phase, name))]
    if phase.text_every is not None:
        parts.append(f"one step in {phase.text_every} of text alone")
    return ", ".join(parts)


def _licences(cache: Manifest | None, config: TrainConfig) -> dict[str, str]:
    parts = {"LLM": config.llm}
    if cache is not None:
        parts["speech encoder, of which the audio embedding started"] = str(
            cache.identity.get("teacher")
        )
    licences = {
        f"{part} `{model}`": _LICENCES.get(model, _UNKNOWN) for part, model in parts.items()
    }
    return {
        **licences,
        "code in this folder": "Apache-2.0",
        "training speech": "the licence of the one who gave it",
    }


def card_metadata(llm: str, ingest: Manifest | None) -> str:
    """Return the YAML at the card's head, which the hub reads, without its fences.

    What is not known is left out.

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


# An exported folder on the Hugging Face hub.


def push_to_hub(folder: Path, repo: str) -> str:
    """Upload a model folder as one commit; a repository that is not there is made, private.

    The token is that of `hf auth login`, or $HF_TOKEN; it needs the right to write.

    Args:
        folder: what `aura_core.export.folder.export_student` has written.
        repo: `ORG/NAME`.

    Returns:
        The address of the commit.

    Raises:
        AuraError: if the hub refuses it or is out of reach; the folder stays.
    """
    from huggingface_hub import HfApi

    api = HfApi(library_name="aura")
    try:
        api.create_repo(repo, private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, folder_path=folder, commit_message="Upload a model exported by aura"
        )
    except Exception as error:  # the hub client's HTTP library is its own affair
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise AuraError(
            f"{folder} is exported, but was not uploaded to {repo} ({reason}); log in with "
            f"`hf auth login`, then: hf upload {repo} {folder}"
        ) from error
    return commit.commit_url
