"""Whether a corpus holds what a run asks of it, found out before anything is trained; without torch."""

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.corpus import Corpus
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.sources import CorpusError


def check_enough_text(spec: RunSpec, corpus: Corpus | LanguageCorpus) -> None:
    """Refuse a run that would read more than the corpus holds, in training or in evaluation.

    Parameters
    ----------
    spec : RunSpec
        The run.
    corpus : Corpus or LanguageCorpus
        The text that it names.

    Raises
    ------
    CorpusError
        Says how much is there, and what to lower or allow.
    """
    seq_len = spec.model.seq_len
    held, seen = (corpus.n_windows(part, seq_len) * seq_len for part in (spec.split, "validation"))
    if isinstance(corpus, LanguageCorpus):
        larger, remedy = "", "share it among several seeds"
    else:
        larger = f", or raise corpus.megabytes (now {corpus.manifest['spec']['megabytes']:g})"
        remedy = larger.removeprefix(", or ")
    if held == 0 or (spec.D > held and not spec.repeat):
        raise CorpusError(
            f"{spec.D:,} tokens asked for, the {spec.split} part of {corpus.id} holds {held:,}: lower D, {remedy}, "
            "or allow repetition with repeat=True"
        )
    if spec.eval_tokens > seen:
        raise CorpusError(
            f"eval_tokens={spec.eval_tokens:,}, the validation part of {corpus.id} holds {seen:,}: "
            f"lower eval_tokens{larger}"
        )
