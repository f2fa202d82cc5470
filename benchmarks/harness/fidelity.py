"""Fidelity beside llama.cpp's own tools: KL and perplexity, storage, and the speed of one pass.

    python -m benchmarks.harness.fidelity [--reference KEY] [--quants Q8_0 Q4_1 Q2_K] [--every N]
        [--tokens 8192] [--rounds 3] [--mixture] [--no-peers]

Makes an F32 file of the model's weights, with noise of about a step of Q4_1 (weights that come out
of a quantised file would fit its grid), and requantises it in a scratch folder. Compares each with
the F32 file: over the project's blocks, with intervals over questions; and, in the same windows of
the same text, beside `llama-perplexity --kl-divergence`, which is compiled here from the pinned
source and linked to the project's own build. Measures the rate of one pass against llama-bench's
prefill on blocks as long. `--mixture`: eight copies of the feed forward, each with some noise, at 1
to 8 active experts. Run it on a quiet machine for the speed.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.base.errors import BenchError, run_cli
from scripts.lib.base.estimates import Estimate, mean
from scripts.lib.base.stored_json import digest
from scripts.lib.engines.embedded import EmbeddedEngine
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.fidelity.distributions import Distributions, Divergence, compare, cut
from scripts.lib.fidelity.plan import CONTEXT_TOKENS, blocks_of
from scripts.lib.fidelity.run import Tokens, tokens_of
from scripts.lib.fidelity.store import Reference, parse_reference, reference_bytes
from scripts.lib.llama_build.build import bench_binary, installed_build
from scripts.lib.llama_build.compile import cache_dir, fetch_source
from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.machine.profiles import Hardware, load_hardware
from scripts.lib.planning.disk import load_planner
from scripts.lib.planning.modes import Mode
from scripts.lib.prompts.contexts.prose import prose
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.gguf_copy import copy_metadata, open_dense_llama, write
from scripts.lib.weights.requantize import requantize

CONTEXT: dict[str, Any] = {
    "length_tokens": CONTEXT_TOKENS, "batch_tokens": 512, "micro_batch_tokens": 512,
    "flash_attention": "auto", "kv_type_k": "f16", "kv_type_v": "f16",
}  # fmt: skip
WINDOW = 512
PERPLEXITY = "llama-perplexity"
# Of the mixture; the noise in standard deviations of a tensor.
EXPERTS, NOISE = 8, 0.3
THREADS = [0]


def shown(value: Estimate | None, digits: int = 5) -> str:
    """An estimate with its interval."""
    if value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:.{digits}f} (n={value.clusters})"
    return f"{value.value:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"


@cache
def profile() -> Hardware:
    """This machine's profile. On a busy machine use `--threads 1`: two threads would spin."""
    found, threads = load_hardware("auto"), THREADS[0]
    return replace(found, threads=threads, batch_threads=threads) if threads else found


@dataclass
class Loaded:
    """A file in the engine, evaluated text by text."""

    file: Path
    experts: int | None = None

    def __enter__(self) -> Loaded:
        self.engine = EmbeddedEngine(self.file.with_suffix(".log"), every_token=True)
        spec = {"override_key": "llama.expert_used_count"} if self.experts else {}
        mode = Mode("baseline", experts=self.experts)
        hardware = profile()
        self.engine.load(LoadSettings(self.file, None, mode, spec, CONTEXT, hardware))
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.unload()

    def cuts(self, texts: Sequence[Tokens]) -> list[Distributions]:
        """The distributions of each text."""
        return [Distributions.joined(self._parts(text, None)) for text in texts]

    def compared(
        self, texts: Sequence[Tokens], references: Sequence[Distributions]
    ) -> list[Divergence]:
        """The divergence over each text."""
        pairs = zip(texts, references, strict=True)
        return [Divergence.joined(self._parts(text, known)) for text, known in pairs]

    def _parts(self, text: Tokens, known: Distributions | None) -> Iterator[Any]:
        following, draws, place = text.following, text.draws(), 0
        for logits in self.engine.evaluate(text.ids):
            end = min(place + len(logits), len(following))
            rows, after = logits[: end - place], following[place:end]
            if known is None:
                yield cut(rows, after, draws[place:end])
            else:
                yield compare(rows, after, known.part(place, end))
            place = end


def bytes_per_token(
    texts: Sequence[Tokens], references: Sequence[Distributions], size: int
) -> float:
    """The stored size of the references, each read back, by token."""
    total = 0
    for text, found in zip(texts, references, strict=True):
        stored = Reference("", digest({}), {}, "ok", None, text.digest, text.answer_at, size, found)
        content = reference_bytes(stored)
        parse_reference(content, "harness")
        total += len(content)
    return total / sum(len(found) for found in references)


def of_questions(found: Sequence[Divergence], value: Any) -> Estimate | None:
    """The mean over blocks with its interval."""
    return mean({place: [float(np.mean(value(one)))] for place, one in enumerate(found)})


def report(
    name: str, file: Path, found: Sequence[Divergence], known: Sequence[Distributions]
) -> None:
    """One line per configuration."""
    kl = of_questions(found, lambda one: one.kl)
    first = of_questions(found, lambda one: one.same_first)
    loss = [k.logprob.mean(dtype=float) - f.logprob.mean(dtype=float)
            for k, f in zip(known, found, strict=True)]  # fmt: skip
    tail = [float(np.mean([getattr(one, part).mean() for one in found]))
            for part in ("coarse", "missing", "bound")]  # fmt: skip
    exact = all((one.kl == 0).all() and one.same_first.all() for one in found)
    print(
        f"{name:6} {file.stat().st_size / 1e6:7.1f} MB  KL {shown(kl)}  same first "
        f"{shown(first, 4)}  perplexity x{np.exp(np.mean(loss)):.4f}  certain {tail[0]:.5f} "
        f"tail {tail[1]:.6f} at most {tail[2]:.3f}{'  exactly 0' if exact else ''}"
    )


# --- llama.cpp's own tools ---


def perplexity_binary() -> Path:
    """llama-perplexity of the pinned source, linked to the project's own build of the libraries."""
    build = installed_build()
    folder = (
        cache_dir()
        / "harness"
        / f"perplexity-{build.source_sha256[:12]}-{build.bin_dir.parent.name}"
    )
    binary = folder / PERPLEXITY
    if binary.is_file():
        return binary
    with tarfile.open(fetch_source(engine_identity("embedded"), sys.stderr)) as archive:
        archive.extractall(folder, filter="data")
    top = next(folder.glob("*/vendor/llama.cpp"))
    parts = [top / "tools/perplexity" / name for name in ("perplexity.cpp", "main.cpp")]
    headers = ("include", "ggml/include", "common", "vendor", "tools/perplexity")
    argv = ["g++", "-O2", "-std=c++17", *(f"-I{top / name}" for name in headers), *map(str, parts)]
    argv += [f"-L{build.bin_dir}", *(f"-l{name}" for name in ("llama-common", "llama", "ggml"))]
    argv += ["-lggml-base", "-lpthread", f"-Wl,-rpath,{build.bin_dir}", "-o", str(binary)]
    subprocess.run(argv, check=True)
    return binary


def peer(binary: Path, file: Path, text: Path, logits: Path, base: bool, threads: int) -> str:
    """llama-perplexity's output over a text in windows of WINDOW tokens."""
    argv = [str(binary), "-m", str(file), "-f", str(text), "-c", str(WINDOW), "-b", str(WINDOW)]
    argv += ["-t", str(threads), "--kl-divergence-base", str(logits)]
    argv += [] if base else ["--kl-divergence"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(argv)} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def number(pattern: str, output: str) -> tuple[float, float]:
    """(value, its error) of a line of llama-perplexity."""
    found = re.search(pattern + r"\s*:?\s*(-?[\d.]+(?:e-?\d+)?)\s*(?:±|\+/-)\s*([\d.]+)", output)
    if found is None:
        raise BenchError(f"no line '{pattern}' in llama-perplexity's output:\n{output[-3000:]}")
    return float(found[1]), float(found[2])


def windows(loaded: Loaded, text: str) -> list[Tokens]:
    """The windows as llama-perplexity makes them: whole ones, each beginning with BOS if used."""
    ids = loaded.engine.tokens(text)
    return [
        Tokens(tuple(ids[at : at + WINDOW]), 0) for at in range(0, len(ids) - WINDOW + 1, WINDOW)
    ]


def second_half(found: Divergence) -> Divergence:
    """The places that llama-perplexity counts: those of a window's second half."""
    start = WINDOW // 2
    return Divergence(*(getattr(found, name)[start:] for name in Divergence.__slots__))


def beside_peer(f32: Path, files: dict[str, Path], text: str, folder: Path) -> None:
    """KL and perplexity ratio in the same windows by both tools."""
    binary, threads = perplexity_binary(), profile().batch_threads
    file, logits = folder / "text.txt", folder / "base.kld"
    file.write_text(text)
    peer(binary, f32, file, logits, True, threads)
    with Loaded(f32) as loaded:
        texts = windows(loaded, text)
        known = loaded.cuts(texts)
    for name, other in files.items():
        output = peer(binary, other, file, logits, False, threads)
        theirs = number(r"Mean\s+KLD", output)
        ratio = number(r"Mean ln\(PPL\(Q\)/PPL\(base\)\)", output)
        with Loaded(other) as loaded:
            found = [second_half(one) for one in loaded.compared(texts, known)]
        kl = np.concatenate([one.kl for one in found])
        mine = np.concatenate([one.logprob for one in found])
        base = np.concatenate([one.logprob[WINDOW // 2 :] for one in known])
        loss = float(np.mean(base.astype(float) - mine.astype(float)))
        within = abs(kl.mean() - theirs[0]) <= theirs[1] and abs(loss - ratio[0]) <= ratio[1]
        print(
            f"{name:6} KL {kl.mean():.6f} against {theirs[0]:.6f} ± {theirs[1]:.6f}; "
            f"ln perplexity ratio {loss:.6f} against {ratio[0]:.6f} ± {ratio[1]:.6f}: "
            f"{'within its error' if within else 'NOT within its error'}"
        )


def bench_rate(file: Path, tokens: int, threads: int) -> float:
    """llama-bench's prefill rate in tokens/s."""
    argv = [str(bench_binary()), "-m", str(file), "-p", str(tokens), "-n", "0", "-r", "1"]
    argv += ["-t", str(threads), "-b", "512", "-ub", "512", "-fa", "auto", "-o", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)[0]["avg_ts"])


def speed(files: dict[str, Path], texts: Sequence[Tokens], rounds: int) -> None:
    """The rate of one comparing pass over llama-bench's rate, blocks as long, turn by turn."""
    threads = profile().batch_threads
    tokens = sum(len(text.ids) for text in texts)
    typical = round(tokens / len(texts))
    for name, file in files.items():
        with Loaded(file) as loaded:
            known = loaded.cuts(texts)
            ratios = []
            for _ in range(rounds):
                begin = time.perf_counter()
                loaded.compared(texts, known)
                own = tokens / (time.perf_counter() - begin)
                ratios.append(own / bench_rate(file, typical, threads))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name:6} {own:.0f} t/s; over llama-bench's: median {statistics.median(ratios):.2f} "
            f"of {rounds} ({min(ratios):.2f} to {max(ratios):.2f}); peak RSS {peak:.0f} MiB "
            f"({file.stat().st_size / 2**20:.0f} MiB of weights)"
        )


# --- weights ---


def original(quantised: Path, made: Path, folder: Path) -> None:
    """An F32 file that no quantisation fits: the weights with noise of about a step of Q4_1.

    Weights that come out of a quantised file would fit its grid exactly, and lose nothing on it.
    """
    from gguf import GGUFWriter

    plain_file = folder / "plain.gguf"
    requantize(quantised, plain_file, "F32")
    reader = open_dense_llama(plain_file, "the original")
    writer, rng = GGUFWriter(made, "llama"), np.random.default_rng(1)
    copy_metadata(reader, writer, "llama", ())
    for tensor in reader.tensors:
        values = tensor.data
        if values.ndim == 2:
            # A block of 32 normal values spans about four standard deviations, in 15 steps.
            step = 4 * float(values.std()) / 15
            noise = rng.uniform(-0.5, 0.5, values.shape) * step
            values = (values + noise).astype(np.float32)
        writer.add_tensor(tensor.name, values)
    write(writer)
    plain_file.unlink()


def perturbed_mixture(dense: Path, made: Path) -> None:
    """Eight copies of an F32 model's feed forward, each with noise of its own."""
    from gguf import GGUFWriter

    reader = open_dense_llama(dense, "the mixture")
    writer = GGUFWriter(made, "llama")
    copy_metadata(reader, writer, "llama", ())
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(EXPERTS)
    rng = np.random.default_rng(0)
    for tensor in reader.tensors:
        values, name = tensor.data, tensor.name
        if not any(part in name for part in (".ffn_gate.", ".ffn_up.", ".ffn_down.")):
            writer.add_tensor(name, values)
            continue
        noise = rng.standard_normal((EXPERTS, *values.shape), np.float32)
        experts = values[None] + NOISE * float(values.std()) * noise
        writer.add_tensor(name.replace(".weight", "_exps.weight"), experts)
        if ".ffn_gate." in name:
            router = rng.standard_normal((EXPERTS, values.shape[1]), np.float32) * 0.02
            writer.add_tensor(name.replace("ffn_gate", "ffn_gate_inp"), router)
    write(writer)


def mixture(f32: Path, texts_of: Any, folder: Path) -> None:
    """The divergence of fewer experts from all eight."""
    file = folder / "mixture.gguf"
    perturbed_mixture(f32, file)
    with Loaded(file, EXPERTS) as loaded:
        texts = texts_of(loaded)
        known = loaded.cuts(texts)
    before = 0.0
    for experts in range(EXPERTS, 0, -1):
        with Loaded(file, experts) as loaded:
            found = loaded.compared(texts, known)
        kl = of_questions(found, lambda one: one.kl)
        assert kl is not None
        order = "" if kl.value >= before else "  NOT monotone"
        before = kl.value
        print(f"{experts} experts: KL {shown(kl)}{order}")


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parsed()
    THREADS[0] = arguments.threads
    planner = load_planner(load_config())
    weights = planner.weights[arguments.reference]
    if weights.path is None or not weights.present:
        raise BenchError(f"{arguments.reference}: no weights here; snakemake -j1 weights")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        f32, files = folder / "F32.gguf", dict[str, Path]()
        original(weights.path, f32, folder)
        for quant in arguments.quants:
            files[quant] = folder / f"{quant}.gguf"
            requantize(f32, files[quant], quant)
        found = (b for b in blocks_of(planner, weights) if b.tokens <= arguments.block_tokens)
        blocks = list(found)[:: arguments.every]

        def texts_of(loaded: Loaded) -> list[Tokens]:
            return [tokens_of(loaded.engine, block) for block in blocks]

        with Loaded(f32) as loaded:
            texts = texts_of(loaded)
            known = loaded.cuts(texts)
            size = loaded.engine.vocabulary
        print(f"{len(texts)} blocks, {sum(map(len, known))} tokens")
        print(f"stored: {bytes_per_token(texts, known, size):.1f} bytes a token")
        for name, file in {"F32": f32, **files}.items():
            with Loaded(file) as loaded:
                report(name, file, loaded.compared(texts, known), known)
        if arguments.mixture:
            mixture(f32, texts_of, folder)
        if not arguments.no_peers:
            text = prose(arguments.tokens * 4)
            beside_peer(f32, files, text, folder)
            speed({"F32": f32, **files}, texts, arguments.rounds)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reference", default="smollm2_135m_q8_0", metavar="KEY")
    parser.add_argument("--quants", nargs="+", default=["Q8_0", "Q4_1", "Q2_K"])
    words = "tokens of the text that llama-perplexity reads"
    parser.add_argument("--tokens", type=int, default=8192, help=words)
    words = "use every Nth block (default: all)"
    parser.add_argument("--every", type=int, default=1, metavar="N", help=words)
    words = "leave out longer blocks (default: those of config.yaml)"
    parser.add_argument("--block-tokens", type=int, default=CONTEXT_TOKENS, help=words)
    parser.add_argument("--rounds", type=int, default=3, help="of the speed measurement")
    parser.add_argument("--threads", type=int, default=0, help="default: the profile's")
    parser.add_argument("--mixture", action="store_true", help="also fewer experts of a mixture")
    parser.add_argument(
        "--no-peers", action="store_true", help="neither llama-perplexity nor speed"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_cli(main)
