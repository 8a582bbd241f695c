"""Every benchmark by its name, the field's and ours, and the version of every scorer."""

from dataclasses import dataclass
from typing import Literal

from aura_core.config.instructions import TRANSCRIBE
from aura_core.errors import meant_or_choices

# What a benchmark is: where it comes from, how it is asked and how it is scored.

# The layout of the benchmarks that are made here and not read from a folder.
EMBEDDED = "embedded"
# What an LLM does with a text: answer it, choose the likeliest of an item's letters, or say how
# likely the text itself is.
TextTask = Literal["answer", "choose", "perplexity"]


@dataclass(frozen=True)
class HubSource:
    """Where the Hugging Face hub keeps a set.

    Attributes:
        repo: data set on the hub, `ORG/NAME`.
        revision: branch, tag or commit.
        files: patterns of the files that are needed, as `huggingface_hub` matches them.
    """

    repo: str
    revision: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: its key in the catalogue.
        version: raised when the items or what is asked of them change, so that figures of two
            versions are never mixed up.
        title: what the field calls it.
        layout: key of its reader, or `embedded` where it is made here, spoken or read.
        subset: the part of the published set that is read, as its layout names it.
        prompt_text: the written instruction after the audio; None where each item has its own.
            `{labels}` and `{types}` stand for what the set has of them.
        scorer: key of its scorer.
        slices: keys of an item's `extra` that results are cut by, or `length`.
        max_new_tokens: how long an answer may be.
        num_items: in the published set; None where it is not fixed.
        licence: of the data, as its publishers state it.
        hub: where it can be downloaded without an account; None where it cannot.
        homepage: where to get it by hand; empty for what is made here.
        description: what it asks, in one line.
        text_task: what is done with its texts, where it is read and not heard: it tells what
            training for speech has left of an LLM's ability with text.
    """

    name: str
    version: int
    title: str
    layout: str
    subset: str
    prompt_text: str | None
    scorer: str
    slices: tuple[str, ...]
    max_new_tokens: int
    num_items: int | None
    licence: str
    hub: HubSource | None
    homepage: str
    description: str
    text_task: TextTask | None = None


_INTENT = "Name the intent of the request. Answer with one of these alone: {labels}."
_ENTITIES = (
    "Name the intent of the request and its entities, in this form: intent; type=value; "
    "type=value. The values are words of the request. Intents: {labels}. Types: {types}."
)


def _voicebench(config: str) -> HubSource:
    return HubSource("hlt-lab/voicebench", "main", (f"{config}/*.parquet",))


def _openaudiobench(config: str) -> HubSource:
    return HubSource("baichuan-inc/OpenAudioBench", "main", (f"eval_datas/{config}/**",))


_VOICEBENCH = "https://huggingface.co/datasets/hlt-lab/voicebench"
_OPENAUDIOBENCH = "https://huggingface.co/datasets/baichuan-inc/OpenAudioBench"
# Its page could not be read when this was written.
_OPENAUDIOBENCH_LICENCE = "see its page"
_COVOST2 = "https://github.com/facebookresearch/covost (text), https://commonvoice.mozilla.org (audio: Common Voice 4 en)"  # noqa: E501
_SLURP = "https://github.com/pswietojanski/slurp (audio: https://zenodo.org/record/4274930)"

_ALL = (
    Benchmark(
        name="spoken_transcription", version=1, title="Embedded: transcription",
        layout=EMBEDDED, subset="", prompt_text=None, scorer="wer",
        slices=("condition",), max_new_tokens=48, num_items=None, licence="Apache-2.0",
        hub=None, homepage="",
        description="Sentences to write down: clean, in noise, slow, fast, in a second voice.",
    ),
    Benchmark(
        name="spoken_requests", version=1, title="Embedded: requests",
        layout=EMBEDDED, subset="", prompt_text=None, scorer="meaning",
        slices=("condition", "family"), max_new_tokens=48, num_items=None, licence="Apache-2.0",
        hub=None, homepage="",
        description="Requests that the demo corpus keeps out of training, to be understood.",
    ),
    Benchmark(
        name="spoken_choice", version=1, title="Embedded: multiple choice",
        layout=EMBEDDED, subset="", prompt_text=None, scorer="choice",
        slices=("condition",), max_new_tokens=16, num_items=None, licence="Apache-2.0",
        hub=None, homepage="",
        description="Spoken questions with four spoken options.",
    ),
    Benchmark(
        name="spoken_facts", version=1, title="Embedded: facts",
        layout=EMBEDDED, subset="", prompt_text=None, scorer="exist_match",
        slices=("condition",), max_new_tokens=32, num_items=None, licence="Apache-2.0",
        hub=None, homepage="",
        description="Spoken questions of common knowledge with short answers.",
    ),
    Benchmark(
        name="spoken_instructions", version=1, title="Embedded: instructions",
        layout=EMBEDDED, subset="", prompt_text=None, scorer="instructions",
        slices=("condition",), max_new_tokens=160, num_items=None, licence="Apache-2.0",
        hub=None, homepage="",
        description="Spoken instructions whose fulfilment can be checked by rules.",
    ),
    Benchmark(
        name="text_perplexity", version=1, title="Text: perplexity",
        layout=EMBEDDED, subset="", prompt_text="", scorer="perplexity",
        slices=(), max_new_tokens=1, num_items=None, licence="Apache-2.0",
        hub=None, homepage="", text_task="perplexity",
        description="Prose that no model was trained on, read: how well each next token is told.",
    ),
    Benchmark(
        name="text_choice", version=1, title="Text: multiple choice",
        layout=EMBEDDED, subset="", prompt_text=None, scorer="choice",
        slices=(), max_new_tokens=1, num_items=None, licence="Apache-2.0",
        hub=None, homepage="", text_task="choose",
        description="The questions of spoken_choice, read: the likeliest of the four letters.",
    ),
    Benchmark(
        name="text_facts", version=1, title="Text: facts",
        layout=EMBEDDED, subset="", prompt_text="", scorer="exist_match",
        slices=(), max_new_tokens=32, num_items=None, licence="Apache-2.0",
        hub=None, homepage="", text_task="answer",
        description="The questions of spoken_facts, read.",
    ),
    Benchmark(
        name="text_instructions", version=1, title="Text: instructions",
        layout=EMBEDDED, subset="", prompt_text="", scorer="instructions",
        slices=(), max_new_tokens=160, num_items=None, licence="Apache-2.0",
        hub=None, homepage="", text_task="answer",
        description="The instructions of spoken_instructions, read.",
    ),
    Benchmark(
        name="librispeech_test_clean", version=1, title="LibriSpeech test-clean",
        layout="librispeech", subset="test-clean", prompt_text=TRANSCRIBE, scorer="wer",
        slices=("length",), max_new_tokens=256, num_items=2620, licence="CC-BY-4.0",
        hub=None, homepage="https://www.openslr.org/12",
        description="Read English audiobooks, the easier speakers, to write down.",
    ),
    Benchmark(
        name="librispeech_test_other", version=1, title="LibriSpeech test-other",
        layout="librispeech", subset="test-other", prompt_text=TRANSCRIBE, scorer="wer",
        slices=("length",), max_new_tokens=256, num_items=2939, licence="CC-BY-4.0",
        hub=None, homepage="https://www.openslr.org/12",
        description="Read English audiobooks, the harder speakers, to write down.",
    ),
    Benchmark(
        name="voicebench_openbookqa", version=1, title="VoiceBench OpenBookQA",
        layout="voicebench", subset="openbookqa", prompt_text="", scorer="choice",
        slices=("length",), max_new_tokens=256, num_items=455, licence="Apache-2.0",
        hub=_voicebench("openbookqa"), homepage=_VOICEBENCH,
        description="Elementary science, question and four options spoken.",
    ),
    Benchmark(
        name="voicebench_mmsu", version=1, title="VoiceBench MMSU",
        layout="voicebench", subset="mmsu", prompt_text="", scorer="choice",
        slices=("domain", "length"), max_new_tokens=256, num_items=3074, licence="Apache-2.0",
        hub=_voicebench("mmsu"), homepage=_VOICEBENCH,
        description="Knowledge in twelve domains after MMLU-Pro, question and options spoken.",
    ),
    Benchmark(
        name="voicebench_ifeval", version=1, title="VoiceBench IFEval",
        layout="voicebench", subset="ifeval", prompt_text="", scorer="instructions",
        slices=("length",), max_new_tokens=1024, num_items=345, licence="Apache-2.0",
        hub=_voicebench("ifeval"), homepage=_VOICEBENCH,
        description="Spoken instructions whose fulfilment can be checked by rules.",
    ),
    Benchmark(
        name="voicebench_bbh", version=1, title="VoiceBench BBH",
        layout="voicebench", subset="bbh", prompt_text="", scorer="bbh",
        slices=("task", "length"), max_new_tokens=512, num_items=1000, licence="Apache-2.0",
        hub=_voicebench("bbh"), homepage=_VOICEBENCH,
        description="Four reasoning tasks of BIG-Bench Hard, asked by people.",
    ),
    Benchmark(
        name="voicebench_advbench", version=1, title="VoiceBench AdvBench",
        layout="voicebench", subset="advbench", prompt_text="", scorer="refusal",
        slices=("length",), max_new_tokens=256, num_items=520, licence="Apache-2.0",
        hub=_voicebench("advbench"), homepage=_VOICEBENCH,
        description="Harmful requests that should be refused.",
    ),
    Benchmark(
        name="voicebench_sd_qa", version=1, title="VoiceBench SD-QA",
        layout="voicebench", subset="sd-qa", prompt_text="", scorer="pedant",
        slices=("region", "length"), max_new_tokens=256, num_items=6083, licence="Apache-2.0",
        hub=_voicebench("sd-qa"), homepage=_VOICEBENCH,
        description="553 factual questions, each asked by speakers of eleven regions.",
    ),
    Benchmark(
        name="voicebench_alpacaeval", version=1, title="VoiceBench AlpacaEval (full)",
        layout="voicebench", subset="alpacaeval_full", prompt_text="", scorer="judge",
        slices=("length",), max_new_tokens=1024, num_items=636, licence="Apache-2.0",
        hub=_voicebench("alpacaeval_full"), homepage=_VOICEBENCH,
        description="Open requests, judged; the full set, as on VoiceBench's leaderboard.",
    ),
    Benchmark(
        name="voicebench_commoneval", version=1, title="VoiceBench CommonEval",
        layout="voicebench", subset="commoneval", prompt_text="", scorer="judge",
        slices=("length",), max_new_tokens=1024, num_items=200, licence="Apache-2.0",
        hub=_voicebench("commoneval"), homepage=_VOICEBENCH,
        description="Open questions recorded by people for Common Voice, judged.",
    ),
    Benchmark(
        name="voicebench_wildvoice", version=1, title="VoiceBench WildVoice",
        layout="voicebench", subset="wildvoice", prompt_text="", scorer="judge",
        slices=("length",), max_new_tokens=1024, num_items=1000, licence="Apache-2.0",
        hub=_voicebench("wildvoice"), homepage=_VOICEBENCH,
        description="Open requests recorded by people of many accents, judged.",
    ),
    Benchmark(
        name="llama_questions", version=1, title="Llama Questions (OpenAudioBench)",
        layout="spoken_qa", subset="llama_questions", prompt_text="", scorer="exist_match",
        slices=("length",), max_new_tokens=256, num_items=300, licence=_OPENAUDIOBENCH_LICENCE,
        hub=_openaudiobench("llama_questions"), homepage=_OPENAUDIOBENCH,
        description="Easy factual questions with short answers, spoken.",
    ),
    Benchmark(
        name="web_questions", version=1, title="Web Questions (OpenAudioBench)",
        layout="spoken_qa", subset="web_questions", prompt_text="", scorer="exist_match",
        slices=("length",), max_new_tokens=256, num_items=1000, licence=_OPENAUDIOBENCH_LICENCE,
        hub=_openaudiobench("web_questions"), homepage=_OPENAUDIOBENCH,
        description="Questions people typed into a search engine, spoken; several answers count.",
    ),
    Benchmark(
        name="trivia_qa", version=1, title="TriviaQA (OpenAudioBench)",
        layout="spoken_qa", subset="trivia_qa", prompt_text="", scorer="exist_match",
        slices=("length",), max_new_tokens=256, num_items=1000, licence=_OPENAUDIOBENCH_LICENCE,
        hub=_openaudiobench("trivia_qa"), homepage=_OPENAUDIOBENCH,
        description="Trivia questions, spoken; any alias of the answer counts.",
    ),
    Benchmark(
        name="spoken_squad", version=1, title="Spoken-SQuAD test",
        layout="spoken_squad", subset="test", prompt_text=None, scorer="squad",
        slices=("length",), max_new_tokens=64, num_items=5351, licence="CC-BY-SA-4.0",
        hub=None, homepage="https://github.com/chiahsuan156/Spoken-SQuAD",
        description="Spoken passages of Wikipedia, each with written questions.",
    ),
    Benchmark(
        name="slurp_intent", version=1, title="SLURP test: intent",
        layout="slurp", subset="test", prompt_text=_INTENT, scorer="intent",
        slices=("microphone", "scenario"), max_new_tokens=32, num_items=None,
        licence="CC-BY-NC-4.0 (audio), CC-BY-4.0 (text)",
        hub=None, homepage=_SLURP,
        description="Requests to a home assistant, near and far microphones: the intent.",
    ),
    Benchmark(
        name="slurp_entities", version=1, title="SLURP test: entities",
        layout="slurp", subset="test", prompt_text=_ENTITIES, scorer="slu_f1",
        slices=("microphone", "scenario"), max_new_tokens=128, num_items=None,
        licence="CC-BY-NC-4.0 (audio), CC-BY-4.0 (text)",
        hub=None, homepage=_SLURP,
        description="Requests to a home assistant, near and far microphones: what they name.",
    ),
    Benchmark(
        name="fluent_speech_commands", version=1, title="Fluent Speech Commands test",
        layout="fluent_speech_commands", subset="test", prompt_text=_INTENT, scorer="intent",
        slices=("action",), max_new_tokens=32, num_items=3793,
        licence="CC-BY-NC-ND-4.0",
        hub=None, homepage="https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research/",
        description="Commands to a smart home: action, object and location as one intent.",
    ),
    Benchmark(
        name="covost2_en_de", version=1, title="CoVoST 2 en-de test",
        layout="covost2", subset="en_de",
        prompt_text="Translate what is said into German.", scorer="bleu",
        slices=("length",), max_new_tokens=256, num_items=15531,
        licence="CC-BY-NC-4.0 (text), CC0-1.0 (audio)",
        hub=None, homepage=_COVOST2,
        description="Read English sentences of Common Voice, to translate into German.",
    ),
    Benchmark(
        name="covost2_en_zh_cn", version=1, title="CoVoST 2 en-zh-CN test",
        layout="covost2", subset="en_zh-CN",
        prompt_text="Translate what is said into Chinese.", scorer="bleu",
        slices=("length",), max_new_tokens=256, num_items=15531,
        licence="CC-BY-NC-4.0 (text), CC0-1.0 (audio)",
        hub=None, homepage=_COVOST2,
        description="Read English sentences of Common Voice, to translate into Chinese.",
    ),
)  # fmt: skip

BENCHMARKS: dict[str, Benchmark] = {each.name: each for each in _ALL}


def is_text_task(name: str) -> bool:
    """Whether this is a benchmark of texts, at which nothing is heard."""
    return name in BENCHMARKS and BENCHMARKS[name].text_task is not None


def benchmark_mistake(name: str, source: str) -> str | None:
    """What is wrong with asking for a benchmark from a source; None if nothing is.

    Args:
        name: of the benchmark.
        source: a folder or URI, or `embedded`.
    """
    if name not in BENCHMARKS:
        listing = "`aura bench-data list` lists them"
        return f"there is no such benchmark: {meant_or_choices(name, BENCHMARKS, listing)}"
    kept_here = BENCHMARKS[name].layout == EMBEDDED
    if kept_here and source != EMBEDDED:
        return f"it is kept here and takes no folder: --benchmark {name}"
    if not kept_here and source == EMBEDDED:
        return (
            f"give the folder that holds it, --benchmark {name}=FOLDER; "
            f"`aura bench-data get {name}` says where to get it"
        )
    return None


# The version of every scorer; light, since it is part of an evaluation's identity.

# Raised by hand when a rule changes: evaluations are scored anew, without asking a model.
SCORER_VERSIONS = {
    "wer": 1,
    "meaning": 1,
    "choice": 1,
    "exist_match": 1,
    "squad": 1,
    "instructions": 1,
    "refusal": 1,
    "bbh": 1,
    "bleu": 1,
    "intent": 1,
    "slu_f1": 1,
    "pedant": 1,
    "judge": 1,
    "perplexity": 1,
}
