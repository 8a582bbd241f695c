"""What pins the content of a benchmark; light, since every plan asks for it."""

import xxhash

from aura_core.artifacts import store
from aura_core.benchmarks.embedded_texts import source_text
from aura_core.config.benchmarks import BENCHMARKS, EMBEDDED, is_read
from aura_core.config.run import BenchmarkConfig
from aura_core.config.voices import VOICE, espeak_digest, second_voice
from aura_core.errors import AuraError
from aura_core.ingest.source import content_digests
from aura_core.models.references import digest


def pinned_benchmark(config: BenchmarkConfig) -> dict[str, str]:
    """Version of the benchmark and digests of what it is made from.

    Raises:
        AuraError: if its folder does not exist.
    """
    version = {"version": str(BENCHMARKS[config.name].version)}
    if config.source != EMBEDDED:
        return version | {"content": folder_digest(config.source)}
    version |= {"texts": store.xxh3(source_text(config.name).encode())}
    if is_read(config.name):
        return version
    return version | {
        "voice": digest(VOICE),
        "espeak": espeak_digest(),
        "second_voice": second_voice(),
    }


def folder_digest(uri: str) -> str:
    """One digest over the names and contents of all files of a folder."""
    names = store.list_tree(uri)
    if not names:
        raise AuraError(f"{uri} does not exist or is empty: give the folder of the benchmark")
    uris = {store.join(uri, name): name for name in names}
    total = xxhash.xxh3_128()
    for each, content in sorted(content_digests(uris).items()):
        total.update(f"{uris[each]}\0{content}\n".encode())
    return f"xxh3:{total.hexdigest()}"
