"""The perfect teacher: it reads the truth off the table of a language of known entropy."""

import numpy as np
import torch
from torch import Tensor, nn

from distill_lib.training.language import Language


class Oracle(nn.Module):
    """A model whose logits are the true log-probabilities; nothing in it is trained.

    Where the whole context is visible its loss is the entropy rate E, the least that any model can reach.
    Nearer to the beginning of a window it knows as much as can be known: the distribution given the few
    tokens that are there.

    Parameters
    ----------
    language : Language
        The language that is spoken.
    """

    def __init__(self, language: Language) -> None:
        super().__init__()
        self.order, self.vocab_size = language.order, language.vocab_size
        full = np.log(language.counts.astype(np.float32) / 2**16)
        short = [table.astype(np.float32) for table in language.log_conditionals[1:]]
        for seen, table in enumerate([*short, full], start=1):
            self.register_buffer(f"seen_{seen}", torch.from_numpy(table), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Log-probabilities of every next token.

        Parameters
        ----------
        tokens : Tensor
            Token ids [B, T].

        Returns
        -------
        Tensor
            Natural logarithms of probabilities [B, T, V], which are logits.
        """
        length = tokens.shape[1]
        found = []
        for seen in range(1, min(self.order, length) + 1):
            # Contexts of `seen` tokens: one at the beginning of each window, all others with the full order.
            last = length if seen == self.order else seen
            state = torch.zeros_like(tokens[:, seen - 1 : last])
            for back in range(seen - 1, -1, -1):
                state = state * self.vocab_size + tokens[:, seen - 1 - back : last - back]
            found.append(self.get_buffer(f"seen_{seen}")[state])
        return torch.cat(found, dim=1)
