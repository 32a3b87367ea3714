"""The mini transformer: pre-norm RMSNorm, RoPE, QK-norm if asked for, learning rates by muP (simple).

Plain modules of PyTorch throughout: at widths of 16 to 64 and a context of 64, on one thread, attention
written out, rotations without complex numbers, and hand-written gradients of norm and squared ReLU change
the time of a step by a tenth at most, some of them for the worse.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lib.scaling.specifications import ModelSpec

#: Width at which the base learning rate holds; the rates of inner matrices scale by this over d_model.
REFERENCE_WIDTH = 32
#: Base of the rotary frequencies: small, since contexts are tens of tokens (the paper: 500,000 for 4096).
ROPE_BASE = 1000.0


class Decoder(nn.Module):
    """A causal decoder of the shape that a specification names.

    Parameters
    ----------
    spec : ModelSpec
        Width, depth, context and vocabulary.
    seed : int
        Seeds the initial weights.
    """

    rotation: Tensor

    def __init__(self, spec: ModelSpec, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, spec.d_model)
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.n_layers))
        self.norm = nn.RMSNorm(spec.d_model, eps=1e-5)
        self.head = nn.Linear(spec.d_model, spec.vocab_size, bias=False)
        self.register_buffer("rotation", rotary_table(spec.seq_len, spec.head_dim), persistent=False)
        self._initialise(seed)
        counts = self.parameter_counts()
        assert sum(counts.values()) == sum(weight.numel() for weight in self.parameters())
        assert counts["non_embedding"] == spec.N, "the model and the count of its sizes have parted ways"

    def _initialise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                continue
            std = 1.0 if name.startswith("embedding") else weight.shape[1] ** -0.5
            if name.endswith(("project.weight", "down.weight")):
                std /= math.sqrt(2 * self.spec.n_layers)  # the stream keeps its size with depth
            if name.startswith("head"):
                std = 0.0  # the first loss is ln V exactly, whatever the width
            with torch.no_grad():
                weight.normal_(0.0, std, generator=generator) if std else weight.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of every next token.

        Parameters
        ----------
        tokens : Tensor
            Token ids [B, T], T at most the context.

        Returns
        -------
        Tensor
            Logits [B, T, V].
        """
        rotation = self.rotation[: tokens.shape[1]]
        stream = self.embedding(tokens)
        for block in self.blocks:
            stream = block(stream, rotation)
        return self.head(self.norm(stream))

    def parameter_counts(self) -> dict[str, int]:
        """Count parameters by group.

        Returns
        -------
        dict of str to int
            ``embedding``, ``head`` and ``non_embedding`` (the paper's N), which sum to all parameters.
        """
        counts = {"embedding": 0, "head": 0, "non_embedding": 0}
        for name, weight in self.named_parameters():
            group = name.split(".")[0]
            counts[group if group in counts else "non_embedding"] += weight.numel()
        return counts

    def optimiser_groups(self, lr: float, weight_decay: float = 0.0) -> list[dict[str, object]]:
        """Group parameters by learning rate, as muP (simple) asks of Adam (Wortsman et al., 2024).

        Parameters
        ----------
        lr : float
            Rate at the reference width.
        weight_decay : float
            Decoupled decay of the matrices.

        Returns
        -------
        list of dict
            Matrices at lr * 32 / d_model, or at lr where the specification switches muP off; embedding and
            norm gains at lr; every parameter once.
        """
        scale = 1.0 if self.spec.mup is False else REFERENCE_WIDTH / self.spec.d_model
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, weight in self.named_parameters():
            inner = weight.ndim == 2 and not name.startswith("embedding")
            (matrices if inner else others).append(weight)
        return [
            {"params": matrices, "lr": lr * scale, "weight_decay": weight_decay},
            {"params": others, "lr": lr, "weight_decay": 0.0},
        ]


class Block(nn.Module):
    """One pre-norm block: causal self-attention, then the feed-forward part, each added to the stream.

    Parameters
    ----------
    spec : ModelSpec
        Width, heads, QK-norm and kind of feed-forward part.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        d, self.n_heads, self.gated = spec.d_model, spec.n_heads, spec.mlp == "gated"
        self.attention_norm = nn.RMSNorm(d, eps=1e-5)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.qk_norms = None
        if spec.qk_norm:
            self.qk_norms = nn.ModuleList(nn.RMSNorm(spec.head_dim, eps=1e-5) for _ in "qk")
        self.project = nn.Linear(d, d, bias=False)
        self.mlp_norm = nn.RMSNorm(d, eps=1e-5)
        self.up = nn.Linear(d, (2 if self.gated else 1) * spec.d_ff, bias=False)
        self.down = nn.Linear(spec.d_ff, d, bias=False)

    def forward(self, stream: Tensor, rotation: Tensor) -> Tensor:
        """Add attention and feed-forward part to the stream.

        Parameters
        ----------
        stream : Tensor
            Residual stream [B, T, d].
        rotation : Tensor
            Rotary table [T, head_dim / 2], complex.

        Returns
        -------
        Tensor
            Residual stream [B, T, d].
        """
        batch, length, d = stream.shape
        qk, v = self.qkv(self.attention_norm(stream)).split((2 * d, d), dim=-1)
        qk = qk.view(batch, length, 2 * self.n_heads, -1)
        if self.qk_norms is not None:  # before the rotation, which keeps lengths
            parts = zip(self.qk_norms, qk.chunk(2, dim=2), strict=True)
            qk = torch.cat([norm(part) for norm, part in parts], dim=2)
        q, k = rotate(qk, rotation).transpose(1, 2).chunk(2, dim=1)
        v = v.view(batch, length, self.n_heads, -1).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        stream = stream + self.project(mixed.transpose(1, 2).reshape(batch, length, d))
        hidden = self.up(self.mlp_norm(stream))
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * value
        else:
            hidden = F.relu(hidden).square()
        return stream + self.down(hidden)


def rotary_table(length: int, head_dim: int) -> Tensor:
    """Rotations of the rotary position embedding (Su et al., 2021), as complex numbers of length 1.

    Parameters
    ----------
    length : int
        Positions.
    head_dim : int
        Width of a head, even.

    Returns
    -------
    Tensor
        exp(i * position * frequency), [length, head_dim / 2].
    """
    frequency = ROPE_BASE ** -(torch.arange(0, head_dim, 2) / head_dim)
    angle = torch.arange(length)[:, None] * frequency
    return torch.polar(torch.ones_like(angle), angle)


def rotate(heads: Tensor, rotation: Tensor) -> Tensor:
    """Turn each pair of neighbouring coordinates by its angle at its position.

    Parameters
    ----------
    heads : Tensor
        Queries or keys [B, T, H, head_dim].
    rotation : Tensor
        Rotary table [T, head_dim / 2], complex.

    Returns
    -------
    Tensor
        The same shape and precision, lengths kept.
    """
    # No complex numbers are made of bfloat16, and autocast does not see to it on a GPU as it does on a CPU.
    wide = heads.to(torch.promote_types(heads.dtype, torch.float32))
    pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation[:, None]).flatten(-2).to(heads.dtype)
