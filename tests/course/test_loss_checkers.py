"""Each known mistake gets its own hint, the right loss none, and one mistake is not told as several."""

import pytest
import torch
import torch.nn.functional as F

import distill_lib as dl
from distill_lib.course import check_kd_gradient, check_kd_loss


def soft_part(student, teacher, tau):
    log_q, log_p = (student / tau).log_softmax(-1), (teacher / tau).log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def hard_part(student, labels):
    return F.cross_entropy(student.flatten(0, -2), labels.flatten())


def careful(student, teacher, labels, tau=1.0, lam=1.0):
    """Written out, without the library: everything that the checks ask for."""
    kept = labels != -100
    student, teacher, labels = student[kept], teacher[kept].detach(), labels[kept]
    if len(labels) == 0:
        return student.sum() * 0.0
    if student.dtype in (torch.bfloat16, torch.float16):
        student, teacher = student.float(), teacher.float()
    log_q, log_p = (student / tau).log_softmax(-1), (teacher / tau).log_softmax(-1)
    allowed = log_p != -torch.inf
    soft = torch.where(allowed, log_p.exp() * (log_p - log_q.masked_fill(~allowed, 0.0)), 0.0).sum(-1).mean()
    return (1 - lam) * F.cross_entropy(student, labels) + lam * tau**2 * soft


def changed(**parts):
    """The plain loss with some of its parts replaced."""

    def loss(student, teacher, labels, tau=1.0, lam=1.0):
        soft = parts.get("soft", lambda s, t, tau: tau**2 * soft_part(s, t, tau))(
            student, teacher.detach(), tau
        )
        hard = parts.get("hard", lambda s, y, tau: hard_part(s, y))(student, labels, tau)
        mix = parts.get("mix", lambda hard, soft, lam, tau: (1 - lam) * hard + lam * soft)
        return mix(hard, soft, lam, tau)

    return loss


def kl_div(log_first, log_second, reduction):
    return F.kl_div(log_first, log_second, log_target=True, reduction=reduction)


def logs(student, teacher, tau):
    return (student / tau).log_softmax(-1), (teacher / tau).log_softmax(-1)


def without_tau(s, t, tau):
    return soft_part(s, t, tau)


def one_tau(s, t, tau):
    return tau * soft_part(s, t, tau)


def cold_teacher(s, t, tau):
    return tau**2 * soft_part(s, t * tau, tau)


def cold_student(s, t, tau):
    return tau**2 * soft_part(s * tau, t, tau)


def batchmean(s, t, tau):
    return tau**2 * kl_div(*logs(s, t, tau), "batchmean")


def reduction_mean(s, t, tau):
    log_q, log_p = logs(s, t, tau)
    return tau**2 * (log_p.exp() * (log_p - log_q)).mean()


def reverse(s, t, tau):
    log_q, log_p = logs(s, t, tau)
    return tau**2 * kl_div(log_p, log_q, "sum") / log_q[..., 0].numel()


def cross_entropy(s, t, tau):
    log_q, log_p = logs(s, t, tau)
    return -(tau**2) * (log_p.exp() * log_q).sum(-1).mean()


def jensen_shannon(s, t, tau):
    return dl.kd_loss(s, t, tau=tau, direction="jensen_shannon")


def top_token(s, t, tau):
    return hard_part(s, t.argmax(-1))


def regression(s, t, tau):
    return (s - t).square().mean()


def shifted(s, y, tau):
    return hard_part(s[:, :-1], y[:, 1:]) if s.dim() == 3 else hard_part(s[:-1], y[1:])


def shifted_back(s, y, tau):
    return hard_part(s[:, 1:], y[:, :-1]) if s.dim() == 3 else hard_part(s[1:], y[:-1])


MISTAKES = [
    (changed(soft=without_tau), "temperature", "4 times too small; did you forget tau**2?"),
    (changed(soft=one_tau), "temperature", "2 times too small; one tau too few"),
    (changed(soft=lambda s, t, tau: soft_part(s, t, 1.0)), "temperature", "does tau enter at all?"),
    (changed(soft=cold_teacher), "temperature", "only the student's logits are divided by tau"),
    (changed(soft=cold_student), "temperature", "only the teacher's logits are divided by tau"),
    (changed(soft=batchmean), "mean over positions", "batchmean divides by the first axis"),
    (changed(soft=reduction_mean), "mean over positions", "divides by the vocabulary"),
    (changed(soft=reverse), "direction", "the reverse direction"),
    (changed(soft=jensen_shannon), "direction", "Jensen-Shannon"),
    (changed(soft=top_token), "direction", "only the teacher's likeliest token"),
    (changed(soft=regression), "direction", "a regression on logits"),
    (changed(soft=cross_entropy), "zero for identical models", "the teacher's entropy"),
    (changed(hard=shifted), "next token", "shifted twice"),
    (changed(hard=shifted_back), "next token", "shifted backwards"),
    (changed(hard=lambda s, y, tau: hard_part(s / tau, y)), "next token", "changes with tau"),
    (changed(mix=lambda h, s, lam, tau: lam * h + (1 - lam) * s), "lam = 1 distils", "weighs the wrong part"),
    (changed(mix=lambda h, s, lam, tau: h + lam * s), "lam = 1 distils", "lam=1 still contains"),
    (changed(mix=lambda h, s, lam, tau: tau**2 * (1 - lam) * h + lam * s), "next token", "tau**2 multiplies"),
]  # fmt: skip

LAST = {"ignored positions", "excluded tokens", "half precision", "teacher is a constant"}


@pytest.mark.parametrize(("loss", "check", "hint"), MISTAKES, ids=[hint for _, _, hint in MISTAKES])
def test_each_mistake_gets_its_own_hint(loss, check, hint):
    report = check_kd_loss(loss)
    failed = {name: text for name, text in report.hints.items() if name not in LAST}
    named = next(text for name, text in failed.items() if name.startswith(check))
    assert hint in named
    assert not report.passed
    # What one mistake brings with it may be told, in other words; the other parts of the loss stay clean.
    assert len(failed) <= 2, failed


@pytest.mark.parametrize("hint", ["did you forget tau**2?", "batchmean divides", "the reverse direction", "shifted twice"])  # fmt: skip
def test_a_lone_mistake_is_told_once(hint):
    loss = next(loss for loss, _, text in MISTAKES if hint in text)
    assert [name for name in check_kd_loss(loss).hints if name not in LAST] == [
        next(check for _, check, text in MISTAKES if hint in text)
    ]


def test_the_library_passes():
    report = check_kd_loss(dl.kd_loss)
    assert report.passed, report
    assert report.hints == {}
    assert repr(report).count("✔") == len(report.checks) == 12


def test_a_report_fits_the_page_and_loses_no_word():
    report = check_kd_loss(changed(soft=cross_entropy))
    assert max(map(len, repr(report).splitlines())) <= 68
    assert report.hints["zero for identical models"] in " ".join(repr(report).split())


def test_a_loss_written_out_by_hand_passes():
    report = check_kd_loss(careful)
    assert report.passed, report


def test_the_plain_loss_fails_only_the_questions_of_practice():
    report = check_kd_loss(changed())
    assert {name for name, right in report.checks.items() if not right} == LAST - {"teacher is a constant"}
    assert "still count in the distillation part" in report.hints["ignored positions"]
    assert "0 times infinity" in report.hints["excluded tokens"]
    assert "take the softmax in float32" in report.hints["half precision"]


def test_the_teachers_entropy_does_not_hide_what_half_precision_loses():
    assert "half precision" in check_kd_loss(changed(soft=cross_entropy)).hints


def entropy_at_one(student, teacher, labels, tau, lam):
    """Careful in all but one thing: what it takes off is the teacher's entropy at temperature one."""
    p = [(teacher.detach() / t).softmax(-1) for t in (1.0, tau)]
    off = torch.stack([-torch.special.xlogy(each, each).sum(-1).mean() for each in p]).diff()[0]
    return careful(student, teacher, labels, tau, lam) + lam * tau**2 * off


@pytest.mark.parametrize(
    "loss",
    [
        entropy_at_one,
        lambda *given, tau, lam: (loss := careful(*given, tau, lam)) - loss.detach() * (1 - tau**-2),
    ],
    ids=["entropy at tau = 1", "value without tau^2"],
)
def test_a_right_gradient_does_not_excuse_a_wrong_value(loss):
    report = check_kd_loss(loss)
    assert [*report.hints] == ["mixture"]
    assert "the gradient is right, but the value is" in report.hints["mixture"]


def test_a_gradient_to_the_teacher_is_seen():
    report = check_kd_loss(lambda s, t, y, tau, lam: changed()(s, _Open.apply(t), y, tau, lam) + 0 * t.sum())
    assert report.checks["teacher is a constant"], "a gradient of zero is none"
    leaking = check_kd_loss(lambda s, t, y, tau, lam: (1 - lam) * hard_part(s, y) + lam * tau**2 * soft_part(s, t, tau))  # fmt: skip
    assert "detach" in leaking.hints["teacher is a constant"]


class _Open(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, upstream):
        return upstream


@pytest.mark.parametrize(
    ("loss", "hint"),
    [
        (lambda s, t, y, tau, lam: (s - t).square().sum(-1), "take the mean over positions"),
        (
            lambda s, t, y, tau, lam: soft_part(s, t, tau).item(),
            "got float: return it as it is, without .item()",
        ),
        (lambda s, t, y, tau, lam: soft_part(s.detach(), t, tau), "no gradient reaches the student"),
        (lambda s, t, y, tau, lam: (s - s).sum().log() * s.sum(), "a logarithm taken of a zero"),
        (lambda s, t, y, tau, lam: F.cross_entropy(s, y), "it raised"),
    ],
)
def test_what_is_no_loss_is_told_and_nothing_else_is_asked(loss, hint):
    report = check_kd_loss(loss)
    assert list(report.checks.values()) == [False]
    assert hint in " ".join(repr(report).split())


def hand(student, teacher, labels, tau, lam, *, factor=1.0, shape=None, power=1):
    n, V = student.shape
    soft = tau**power * ((student / tau).softmax(-1) - (teacher / tau).softmax(-1))
    hard = student.softmax(-1) - F.one_hot(labels, V)
    return factor * ((1 - lam) * hard + lam * soft) / n


def test_the_gradient_written_by_hand_passes_also_as_an_array():
    assert check_kd_gradient(hand).passed
    assert check_kd_gradient(lambda *a, **k: hand(*a, **k).numpy()).passed


@pytest.mark.parametrize(
    ("gradient", "check", "hint"),
    [
        (lambda *a, **k: hand(*a, factor=6.0, **k), "next token", "divide by their number"),
        (lambda *a, **k: hand(*a, factor=-1.0, **k), "next token", "turned round; its sign is wrong"),
        (lambda *a, **k: hand(*a, power=0, **k), "distillation at another", "2 times too small; one tau too few"),
        (lambda *a, **k: hand(*a, power=-1, **k), "distillation at another", "did you forget tau**2?"),
        (lambda *a, **k: hand(*a, power=2, **k), "distillation at another", "one tau too many"),
        (lambda *a, **k: hand(*a, **k).sum(0), "mixture", "one number for each logit"),
        (lambda s, t, y, tau, lam: s.softmax(-1), "next token", "not along the right one"),
        (lambda s, t, y, tau, lam: s[99], "mixture", "it raised IndexError"),
    ],
)  # fmt: skip
def test_each_wrong_gradient_gets_its_own_hint(gradient, check, hint):
    report = check_kd_gradient(gradient)
    assert hint in next(text for name, text in report.hints.items() if name.startswith(check))


def test_the_checkers_are_there_without_torch_until_they_are_used():
    import subprocess
    import sys

    code = "import sys, distill_lib as dl; dl.course.check_kd_loss; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
