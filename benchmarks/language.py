"""How fast the language of known entropy is spoken, how exactly a model is measured in it, how gradually it is learned.

Run it from the repository: ``OMP_NUM_THREADS=1 python benchmarks/language.py``; about a minute on one core. It
prints the entropy rate found in two ways; tokens per second of the sampler alone, of the windows as the
trainer reads them, and of training the smallest and the largest model of the smoke grid; the standard error of
L as E + KL beside that of the sampled cross-entropy on as many windows; and the excess L - E along one run at
a constant rate of learning (warm-up left in), with the local power of the tokens seen: a plateau would show as
a power near zero that rises later.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

from distill_lib.scaling.specifications import LanguageSpec, ModelSpec, RunSpec
from distill_lib.training.corpus import open_corpus
from distill_lib.training.evaluation import evaluate
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.losses import next_token_loss
from distill_lib.training.model import Decoder
from distill_lib.training.sampling import continue_streams, random_draws
from distill_lib.training.trainer import train

SEQ_LEN, WINDOWS = 64, 16


def sampler_speed(corpus: LanguageCorpus, tokens: int = 2**23) -> tuple[float, float]:
    """Return tokens per second of the bare sampler, and of windows read 16 at a time."""
    slots = corpus.language.slots
    counter = np.arange(tokens // 4, dtype=np.uint64).reshape(-1, 1024)
    started = time.perf_counter()
    continue_streams(slots, np.zeros(1024, dtype=np.int64), random_draws(counter, 0))
    bare = tokens / (time.perf_counter() - started)
    order = corpus.order("student", SEQ_LEN, tokens, seed=0).reshape(-1, WINDOWS)
    started = time.perf_counter()
    for index in order:
        corpus.windows("student", index, SEQ_LEN)
    return bare, tokens / (time.perf_counter() - started)


def sampled_error(model: Decoder, corpus: LanguageCorpus, tokens: int) -> float:
    """Return the standard error of the sampled cross-entropy on the windows that `evaluate` takes."""
    order = corpus.order("validation", SEQ_LEN, tokens, seed=0)
    windows = torch.from_numpy(corpus.windows("validation", order, SEQ_LEN))
    with torch.inference_mode():
        loss = F.cross_entropy(model(windows[:, :-1]).mT, windows[:, 1:], reduction="none")
    means = loss[:, corpus.language.order - 1 :].double().mean(1)
    return means.std().item() / math.sqrt(len(means))


def learning_curve(corpus: LanguageCorpus, d_model: int, D: int) -> list[tuple[int, float]]:
    """Return tokens seen and excess loss, at half powers of two along one run at a constant rate."""
    spec = ModelSpec(d_model=d_model, vocab_size=corpus.vocab_size)
    model = Decoder(spec)
    # A quarter of the usual peak, since nothing decays.
    optimiser = torch.optim.AdamW(model.optimiser_groups(4e-3), betas=(0.9, 0.95), fused=True)
    order = corpus.order("student", SEQ_LEN, D, seed=0).reshape(-1, WINDOWS)
    looks = {round(2 ** (k / 2)) for k in range(6, 40)}
    curve = []
    for step, index in enumerate(order, start=1):
        window = torch.from_numpy(corpus.windows("student", index, SEQ_LEN))
        loss = next_token_loss(model(window[:, :-1]), window[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step in looks:
            excess = evaluate(model, corpus, 2**15).L - corpus.entropy_rate
            curve.append((step * WINDOWS * SEQ_LEN, excess))
    return curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=2**20, help="tokens of the learning curve")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        spec = LanguageSpec()
        started = time.perf_counter()
        corpus = open_corpus(spec, cache)
        assert isinstance(corpus, LanguageCorpus)
        print(f"{corpus.id}: built in {time.perf_counter() - started:.1f} s")
        found = corpus.language.stationary
        print(
            f"E = {corpus.entropy_rate:.6f} nats/token ({found.steps} steps, residual {found.residual:.0e})"
        )
        mean, error = corpus.language.long_run_entropy(2**24, seed=1)
        print(f"mean surprise of {2**24:,} tokens: {mean:.6f} +- {error:.6f}")
        staircase = [f"{step:.4f}" for step in corpus.manifest["staircase"]]
        print(f"given 0, 1, ... tokens: {', '.join(staircase)}")

        bare, read = sampler_speed(corpus)
        print(
            f"sampler: {bare / 1e6:.1f} M tokens/s; as windows, {WINDOWS} at a time: {read / 1e6:.1f} M tokens/s"
        )
        for d_model in (8, 32):
            run = RunSpec(corpus=spec, model=ModelSpec(d_model=d_model, vocab_size=spec.vocab_size), D=2**18)
            result = train(run, corpus)
            assert result.evaluation is not None
            share = result.tokens_per_s / read
            print(
                f"training d = {d_model}: {result.tokens_per_s / 1e3:.0f} k tokens/s, text takes {share:.1%} of it"
            )
            sampled = sampled_error(result.model, corpus, run.eval_tokens)
            print(
                f"  L - E = {result.evaluation.L - corpus.entropy_rate:.4f} +- {result.evaluation.L_se:.4f}; "
                f"the sampled cross-entropy has +- {sampled:.4f}"
            )
        curve = learning_curve(corpus, 16, options.tokens)
        print("along one run, d = 16, constant rate:")
        for (before, higher), (tokens, excess) in itertools.pairwise(curve):
            power = math.log(excess / higher) / math.log(tokens / before)
            print(f"  {tokens:>9,} tokens: L - E = {excess:.4f}, local power {power:+.2f}")


if __name__ == "__main__":
    main()
