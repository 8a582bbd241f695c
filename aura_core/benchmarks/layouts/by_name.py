"""Every layout by its name."""

from aura_core.benchmarks.layouts.jsonl import read_jsonl
from aura_core.benchmarks.layouts.layout import Layout
from aura_core.benchmarks.layouts.question_answering import read_spoken_qa, read_spoken_squad
from aura_core.benchmarks.layouts.transcription import read_covost2, read_librispeech
from aura_core.benchmarks.layouts.understanding import read_fluent_speech_commands, read_slurp
from aura_core.benchmarks.layouts.voicebench import read_voicebench

LAYOUTS: dict[str, Layout] = {
    "librispeech": read_librispeech,
    "voicebench": read_voicebench,
    "spoken_qa": read_spoken_qa,
    "spoken_squad": read_spoken_squad,
    "slurp": read_slurp,
    "fluent_speech_commands": read_fluent_speech_commands,
    "covost2": read_covost2,
    "jsonl": read_jsonl,
}
