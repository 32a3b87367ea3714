"""On a vocabulary one can see, each objective ends where theory says."""

from __future__ import annotations

import pytest
import torch

from distill_lib.training import loss_lab as lab
from distill_lib.training.losses import kd_loss, loss_parts
from distill_lib.training.sparse_teachers import top_k


@pytest.fixture(scope="module")
def long_tailed() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return 1.5 * torch.randn(1, 60, generator=random, dtype=torch.float64)


def test_the_teacher_has_two_peaks_and_its_seed_decides():
    teacher = lab.two_peaked_teacher(8, 10, height=6.0, roughness=0.1, seed=3)
    p = teacher.softmax(-1).sort(-1, descending=True).values
    assert teacher.shape == (8, 10)
    assert (p[:, 1] > 0.4).all()
    assert (p[:, 2] < 0.01).all()
    assert torch.equal(teacher, lab.two_peaked_teacher(8, 10, height=6.0, roughness=0.1, seed=3))
    assert not torch.equal(teacher, lab.two_peaked_teacher(8, 10, height=6.0, roughness=0.1, seed=4))
    with pytest.raises(ValueError, match="3 tokens at least"):
        lab.two_peaked_teacher(8, 2)


def test_a_free_student_becomes_its_teacher():
    teacher = lab.two_peaked_teacher(3, 6)
    for direction in ("forward", "reverse", "jensen_shannon"):
        end = lab.minimise(lambda z, d=direction: kd_loss(z, teacher, direction=d), teacher.shape)
        assert end.loss == pytest.approx(0.0, abs=1e-9)
        torch.testing.assert_close(end.logits.softmax(-1), teacher.softmax(-1), atol=1e-4, rtol=0)


def test_a_student_of_low_rank_has_that_rank_and_cannot():
    teacher = lab.two_peaked_teacher(8, 10)
    low = lab.minimise(lambda z: kd_loss(z, teacher), teacher.shape, rank=1, tries=2)
    high = lab.minimise(lambda z: kd_loss(z, teacher), teacher.shape, rank=8, tries=1)
    assert torch.linalg.matrix_rank(low.logits) == 1
    assert low.gradient < 1e-6
    assert low.loss > 0.1 > 1e-3 > high.loss


def test_more_tries_are_never_worse():
    teacher = lab.two_peaked_teacher(6, 8)
    ends = [
        lab.minimise(lambda z: kd_loss(z, teacher), teacher.shape, rank=1, tries=n, steps=60).loss
        for n in (1, 4)
    ]
    assert ends[1] <= ends[0]


def test_forward_covers_and_reverse_seeks():
    teacher = lab.two_peaked_teacher(12, 10, height=5.0, roughness=0.3)
    found = {}
    for direction in ("forward", "reverse"):
        end = lab.minimise(
            lambda z, d=direction: kd_loss(z, teacher, direction=d), teacher.shape, rank=2, tries=6, steps=120
        )
        found[direction] = lab.missed_and_invented(end.logits, teacher)
    assert found["forward"][0] < 0.05 < 0.1 < found["reverse"][0]
    assert found["reverse"][1] < 0.05 < 0.1 < found["forward"][1]


def test_missed_and_invented_counted_by_hand():
    teacher = torch.tensor([[0.5, 0.49, 0.01]]).log()
    student = torch.tensor([[0.6, 0.01, 0.39]]).log()
    missed, invented = lab.missed_and_invented(student, teacher)
    assert missed == pytest.approx(0.49)
    assert invented == pytest.approx(0.39)
    assert lab.missed_and_invented(teacher, teacher) == (pytest.approx(0.01), pytest.approx(0.01))


class TestTruncation:
    """Where each objective leaves the student's mass, against the closed forms."""

    K = 6

    def ends(self, teacher: torch.Tensor) -> dict[str, lab.Minimum]:
        return {
            name: lab.minimise(of, teacher.shape)
            for name, of in lab.truncated_objectives(teacher, self.K).items()
        }

    def test_the_mass_goes_where_theory_says(self, long_tailed):
        true = lab.mass_on_top(long_tailed, long_tailed, self.K).item()
        assert 0.2 < true < 0.8
        ends = self.ends(long_tailed)
        mass = {name: lab.mass_on_top(end.logits, long_tailed, self.K).item() for name, end in ends.items()}
        assert mass["full"] == pytest.approx(true, abs=1e-5)
        assert mass["tail bucket"] == pytest.approx(true, abs=1e-5)
        assert mass["unnormalised"] == pytest.approx(1.0, abs=1e-4)
        assert mass["teacher renormalised"] == pytest.approx(1.0, abs=1e-4)
        assert ends["unnormalised"].loss == pytest.approx(true * torch.tensor(true).log().item(), abs=1e-4)
        for name in ("full", "teacher renormalised", "both renormalised", "tail bucket"):
            assert ends[name].loss == pytest.approx(0.0, abs=1e-6), name

    def test_renormalising_both_leaves_the_mass_where_it_was(self, long_tailed):
        both = lab.truncated_objectives(long_tailed, self.K)["both renormalised"]
        mass = []
        for lift in (0.0, 3.0):
            start = torch.zeros_like(long_tailed)
            start.scatter_(-1, long_tailed.topk(self.K).indices, lift)
            end = lab.minimise(both, long_tailed.shape, start=start)
            assert end.loss == pytest.approx(0.0, abs=1e-9)
            mass.append(lab.mass_on_top(end.logits, long_tailed, self.K).item())
        assert mass[1] > mass[0] + 0.2

    def test_the_tail_bucket_is_the_nearest_to_the_teacher(self, long_tailed):
        ends = self.ends(long_tailed)
        kl = {name: kd_loss(end.logits, long_tailed).item() for name, end in ends.items()}
        assert kl["full"] < 1e-6
        assert kl["full"] < kl["tail bucket"] < min(kl["both renormalised"], kl["unnormalised"], kl["teacher renormalised"])  # fmt: skip

    def test_they_agree_with_the_librarys_losses(self, long_tailed):
        student = torch.zeros_like(long_tailed)
        objectives = lab.truncated_objectives(long_tailed, self.K)
        bucket = top_k(long_tailed, self.K, missing="tail")
        assert objectives["tail bucket"](student).item() == pytest.approx(kd_loss(student, bucket).item())
        everything = lab.truncated_objectives(long_tailed, long_tailed.shape[-1])
        for name, of in everything.items():
            assert of(student).item() == pytest.approx(kd_loss(student, long_tailed).item()), name


def test_descent_by_hand_and_its_path():
    path = lab.descend(lambda z: (z**2).sum(), torch.tensor([1.0, -2.0]), rate=0.25, steps=3)
    torch.testing.assert_close(path, torch.tensor([[1.0, -2.0], [0.5, -1.0], [0.25, -0.5], [0.125, -0.25]]))


def test_a_log_approaches_the_teachers_entropy():
    teacher = lab.two_peaked_teacher(2, 6)
    path = lab.descend(lambda z: kd_loss(z, teacher), torch.zeros_like(teacher), rate=4.0, steps=300)
    first, last = (loss_parts(path[i], teacher) for i in (0, -1))
    assert last.kl < 0.01 * first.kl
    assert last.cross_entropy.item() == pytest.approx(last.teacher_entropy.item(), abs=0.02)


@pytest.mark.parametrize("turned", [False, True])
def test_finite_differences_of_a_square(turned: bool):
    z = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    z = z.T if turned else z
    found = lab.finite_differences(lambda x: (x**2).sum(), z)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, 2.0 * z.double(), atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rank": 0}, "rank=0 must lie from 1 to 3"),
        ({"rank": 4}, "the smaller side"),
        ({"tries": 0}, "tries=0"),
        ({"start": torch.zeros(2, 2)}, r"start has shape \[2, 2\]"),
        ({"start": torch.zeros(3, 5), "rank": 1}, "and no rank"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        lab.minimise(lambda z: z.square().sum(), (3, 5), **arguments)
