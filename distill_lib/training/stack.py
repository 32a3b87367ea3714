"""Several models of one shape in one graph: each weight once for all of them, stacked along a first axis.

Small models cost what the calls of PyTorch cost, on a CPU and more so on a GPU; stacked, all of them share
each call. No number of one model enters another, so one that diverges harms none of the others.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.attention import attention
from distill_lib.training.model import Decoder, rotate

_BETAS = (0.9, 0.95)
_EPSILON = 1e-8
_LONGEST_GRADIENT = 1.0
_ALIGNED = 16  # numbers: each weight begins at a multiple of 64 bytes, whichever model it is of


class Stack(nn.Module):
    """Models of one shape with their gradients and their AdamW, one row of numbers for each model.

    Parameters
    ----------
    specs : sequence of RunSpec
        One for each model, all with one `model` shape: its seed, rate and weight decay.
    device : torch.device
        Where the models are.
    """

    rotation: Tensor

    def __init__(self, specs: Sequence[RunSpec], device: torch.device) -> None:
        super().__init__()
        self.spec = specs[0].model
        if any(spec.model != self.spec for spec in specs):
            raise ValueError("models of different shapes cannot be stacked: give runs with one model")
        self._places: dict[str, tuple[int, torch.Size]] = {}
        length = 0
        models = [Decoder(spec.model, seed=spec.seed) for spec in specs]
        for name, weight in models[0].named_parameters():
            self._places[name] = (length, weight.shape)
            length += -(-weight.numel() // _ALIGNED) * _ALIGNED
        self.rotation = models[0].rotation.to(device)
        weights, peaks, decays = (torch.zeros(len(specs), length) for _ in range(3))
        for row, (spec, model) in enumerate(zip(specs, models, strict=True)):
            groups: list[dict[str, Any]] = model.optimiser_groups(spec.lr, spec.weight_decay)
            for group in groups:
                members = {id(weight) for weight in group["params"]}
                for name, weight in model.named_parameters():
                    if id(weight) in members:
                        self._part(weights, name)[row] = weight.detach()
                        self._part(peaks, name)[row] = group["lr"]
                        self._part(decays, name)[row] = group["weight_decay"]
        self._peaks, self._decays = peaks.to(device), decays.to(device)
        self._decaying = bool(decays.any())
        self._hold(weights.to(device))
        self.first_moment = torch.zeros_like(self.weights)
        self.second_moment = torch.zeros_like(self.weights)

    def _part(self, rows: Tensor, name: str) -> Tensor:
        first, shape = self._places[name]
        return rows[:, first : first + shape.numel()].view(len(rows), *shape)

    def _hold(self, weights: Tensor) -> None:
        """Take rows of weights, and make the parameters that look into them."""
        self.weights, self.gradients = weights, torch.zeros_like(weights)
        for name in self._places:
            setattr(self, _attribute(name), nn.Parameter(self._part(weights, name)))

    def __len__(self) -> int:
        return len(self.weights)

    def _weight(self, name: str) -> Tensor:
        weight: Tensor = getattr(self, _attribute(name))
        return weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of every next token, each model on windows of its own.

        Parameters
        ----------
        tokens : Tensor
            Token ids [models, B, T], T at most the context.

        Returns
        -------
        Tensor
            Logits [models, B, T, V], those of `Decoder` up to rounding.
        """
        n, batch, length = tokens.shape
        rotation = self.rotation[:length]
        vocabulary = self._weight("embedding.weight").flatten(0, 1)
        shift = self.spec.vocab_size * torch.arange(n, device=tokens.device)
        stream = F.embedding(tokens.reshape(n, -1) + shift[:, None], vocabulary)
        for layer in range(self.spec.n_layers):
            stream = self._block(f"blocks.{layer}.", stream, batch, rotation)
        return self._linear("head", self._norm("norm", stream)).view(n, batch, length, -1)

    def _norm(self, name: str, stream: Tensor) -> Tensor:
        gain = self._weight(f"{name}.weight")
        return F.rms_norm(stream, gain.shape[-1:], eps=1e-5) * gain[:, None]

    def _linear(self, name: str, stream: Tensor) -> Tensor:
        return torch.bmm(stream, self._weight(f"{name}.weight").mT)

    def _block(self, block: str, stream: Tensor, batch: int, rotation: Tensor) -> Tensor:
        """One block of `model`, with a first axis for the models."""
        n, positions, d = stream.shape
        heads = (n * batch, len(rotation), -1, self.spec.head_dim)
        qk, v = self._linear(f"{block}qkv", self._norm(f"{block}attention_norm", stream)).split(
            (2 * d, d), -1
        )
        qk = qk.reshape(heads)
        if self.spec.qk_norm:
            parts = zip("01", qk.chunk(2, dim=2), strict=True)
            qk = torch.cat([self._head_norm(f"{block}qk_norms.{i}", part) for i, part in parts], dim=2)
        q, k = rotate(qk, rotation).transpose(1, 2).chunk(2, dim=1)
        mixed = attention(q, k, v.reshape(heads).transpose(1, 2))
        mixed = mixed.transpose(1, 2).reshape(n, positions, d)
        stream = stream + self._linear(f"{block}project", mixed)
        hidden = self._linear(f"{block}up", self._norm(f"{block}mlp_norm", stream))
        if self.spec.mlp == "gated":
            gate, value = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * value
        else:
            hidden = F.relu(hidden).square()
        return stream + self._linear(f"{block}down", hidden)

    def _head_norm(self, name: str, heads: Tensor) -> Tensor:
        return self._norm(name, heads.reshape(len(self), -1, heads.shape[-1])).view(heads.shape)

    def backward(self, logits: Tensor, gradient: Tensor) -> None:
        """Find the gradients of the weights.

        Parameters
        ----------
        logits : Tensor
            As `forward` gave them [models, B, T, V].
        gradient : Tensor
            Gradient with respect to them, of the same shape.
        """
        weights = [self._weight(name) for name in self._places]
        # Not by .grad: it would have to be a tensor of its own for each weight.
        found = torch.autograd.grad(logits, weights, gradient)
        for name, part in zip(self._places, found, strict=True):
            self._part(self.gradients, name).copy_(part)

    @staticmethod
    def schedule(shares: Sequence[float], steps: Sequence[int]) -> Tensor:
        """Write down all that differs from model to model and from step to step, for `update`.

        Parameters
        ----------
        shares : sequence of float
            Learning rate of each model as a share of its peak.
        steps : sequence of int
            Steps of each model, this one included.

        Returns
        -------
        Tensor
            One row for each model [models, 3], on the CPU.
        """
        return torch.tensor(
            [
                (share, share / (1.0 - _BETAS[0] ** step), (1.0 - _BETAS[1] ** step) ** 0.5)
                for share, step in zip(shares, steps, strict=True)
            ]
        )

    @torch.no_grad()
    def update(self, schedule: Tensor) -> None:
        """Clip each model's gradient to length 1, and make a step of AdamW for each.

        Parameters
        ----------
        schedule : Tensor
            What `schedule` gives [models, 3], on the device of the models.
        """
        share, rate, root = schedule.unsqueeze(-1).unbind(1)
        length = torch.linalg.vector_norm(self.gradients, dim=1, keepdim=True)
        self.gradients.mul_((_LONGEST_GRADIENT / (length + 1e-6)).clamp_(max=1.0))
        self.first_moment.lerp_(self.gradients, 1.0 - _BETAS[0])
        self.second_moment.mul_(_BETAS[1]).addcmul_(self.gradients, self.gradients, value=1.0 - _BETAS[1])
        if self._decaying:
            self.weights.mul_(1.0 - share * self._peaks * self._decays)
        scale = self.second_moment.sqrt().div_(root).add_(_EPSILON)
        self.weights.addcdiv_(self._peaks * -rate * self.first_moment, scale)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the models alone.

        Parameters
        ----------
        rows : sequence of int
            Their places in the stack, ascending.
        """
        index = torch.tensor(rows, device=self.weights.device)
        self._peaks, self._decays = self._peaks[index], self._decays[index]
        self.first_moment, self.second_moment = self.first_moment[index], self.second_moment[index]
        self._hold(self.weights[index])

    @torch.no_grad()
    def model(self, row: int) -> Decoder:
        """Copy one of the models.

        Parameters
        ----------
        row : int
            Its place in the stack.

        Returns
        -------
        Decoder
            The model by itself, on the device of the stack.
        """
        model = Decoder(self.spec).to(self.weights.device)
        for name, weight in model.named_parameters():
            weight.copy_(self._weight(name)[row])
        return model

    def state(self, row: int) -> dict[str, Tensor]:
        """Copy all that one of the models needs to go on.

        Parameters
        ----------
        row : int
            Its place in the stack.

        Returns
        -------
        dict of str to Tensor
            Weights and both moments of AdamW, each as one row of numbers.
        """
        return {name: rows[row].clone() for name, rows in self._rows().items()}

    @torch.no_grad()
    def load_state(self, row: int, state: dict[str, Tensor]) -> None:
        """Let one of the models go on from a state.

        Parameters
        ----------
        row : int
            Its place in the stack.
        state : dict of str to Tensor
            As `state` gave it.
        """
        for name, rows in self._rows().items():
            rows[row] = state[name]

    @property
    def changing(self) -> list[Tensor]:
        """What `update` changes, from one step to the next."""
        return list(self._rows().values())

    def _rows(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("weights", "first_moment", "second_moment")}


def _attribute(name: str) -> str:
    return name.replace(".", "_")  # a module's parameter has no dots in its name
