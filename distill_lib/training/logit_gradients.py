"""The gradient of a step's loss with respect to the logits, without the loss: two softmaxes at most.

A training loop looks at its losses now and then, but needs their gradient at every step. Next to a model of
width 16, a loss whose value is taken as well costs as much as a third of the step.
"""

import torch
from torch import Tensor

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.objectives import step_loss


def logit_gradient(spec: RunSpec, logits: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
    """Gradient of `objectives.step_loss`, for several models that share its settings.

    For the next token it is softmax(z) - onehot; for the forward KL at temperature tau, with its factor
    tau^2, tau (softmax(z / tau) - softmax(z_T / tau)); anything else is left to autograd.

    Parameters
    ----------
    spec : RunSpec
        A run with the settings that all of the models share: lam, tau, direction, beta and truncation.
    logits : Tensor
        Logits [models, B, T, V]; a graph behind them is not followed.
    labels : Tensor
        Next tokens [models, B, T].
    teacher_logits : Tensor or None
        Logits of the teachers [models, B, T, V]; None at a supervised step.

    Returns
    -------
    Tensor
        Gradient of each model's mean loss [models, B, T, V], in the precision of the logits.
    """
    positions = labels[0].numel()
    if teacher_logits is None:
        return _towards_labels(logits, labels).div_(positions).to(logits.dtype)
    assert spec.lam is not None
    assert spec.tau is not None
    if not has_closed_form(spec):
        leaf = logits.detach().requires_grad_()
        # The mean over all is a model's mean over their number.
        loss = step_loss(spec, leaf, labels, teacher_logits) * len(logits)
        return torch.autograd.grad(loss, leaf)[0]
    gradient = _softmax(logits, spec.tau).sub_(_softmax(teacher_logits, spec.tau))
    gradient.mul_(spec.lam * spec.tau / positions)
    if spec.lam < 1.0:
        gradient.add_(_towards_labels(logits, labels), alpha=(1.0 - spec.lam) / positions)
    return gradient.to(logits.dtype)


def has_closed_form(spec: RunSpec) -> bool:
    """Tell whether the gradient of a distilled step is written down here, and not left to autograd.

    Parameters
    ----------
    spec : RunSpec
        The run.

    Returns
    -------
    bool
        Whether it is the forward KL from all of the teacher. Such a gradient asks the device for no number.
    """
    return spec.direction == "forward" and spec.truncation is None


def _softmax(logits: Tensor, tau: float) -> Tensor:
    logits = logits.detach()
    return torch.softmax(logits if tau == 1.0 else logits.float() / tau, dim=-1, dtype=torch.float32)


def _towards_labels(logits: Tensor, labels: Tensor) -> Tensor:
    gradient = _softmax(logits, 1.0)
    index = labels.unsqueeze(-1)
    return gradient.scatter_add_(-1, index, gradient.new_full((), -1.0).expand(index.shape))
