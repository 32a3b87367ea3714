"""Work as a graph: what is replayed is what was told. On a stand-in for a GPU, and on a GPU where there is one."""

from __future__ import annotations

import pytest
import torch
from company import COMPANY, TEACHER, assert_same_bits, teachers_of
from stand_in import Graph
from tiny import tiny_run

from distill_lib.training.corpus import Corpus
from distill_lib.training.replay import Replay
from distill_lib.training.together import train_together
from distill_lib.training.trainer import Training, train


@pytest.fixture(scope="module")
def teacher(corpus: Corpus) -> Training:
    return train(TEACHER, corpus)


def add_up(total: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return total.add_(x.square()).sum().detach()


def test_work_is_done_again_on_other_numbers(graphs: list[Graph]):
    total = torch.zeros(3)
    replay = Replay(lambda x: add_up(total, x), [torch.ones(3)], [total])
    assert torch.equal(total, torch.zeros(3)), "a capture does nothing"
    assert replay(torch.tensor([1.0, 2.0, 3.0])).item() == 14.0
    assert replay(torch.tensor([1.0, 0.0, 0.0])).item() == 15.0
    assert torch.equal(total, torch.tensor([2.0, 4.0, 9.0]))


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x * x.sum().item(),
        lambda x: x[x > 0].sum(),
        lambda x: x * torch.tensor(2.0),
        lambda x: x if x.any() else -x,
    ],
    ids=["a number is asked for", "a mask", "a number is brought", "a decision"],
)
def test_the_stand_in_refuses_what_a_gpu_does(work, graphs: list[Graph]):
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        Replay(work, [torch.ones(3)], [])


def test_steps_that_are_replayed_are_those_that_are_told(
    corpus: Corpus, teacher: Training, graphs: list[Graph]
):
    """Runs end and diverge, one is distilled for half of its steps; rates differ, and change at each step."""
    specs = [*COMPANY[:4], COMPANY[5], tiny_run(D=2**12, seed=3, weight_decay=0.3)]
    given = teachers_of(specs, teacher)
    told = train_together(specs, corpus, teachers=given)
    assert not graphs
    replayed = train_together(specs, corpus, teachers=given, graphs=True)
    for one, other in zip(told, replayed, strict=True):
        assert_same_bits(one, other)
    # All begin; the diverged one leaves; at 12 steps one is distilled no longer; after 16, 24 and 32 runs end.
    assert len(graphs) >= 4
    assert sum(graph.replays for graph in graphs) == max(spec.steps for spec in specs)


def test_steps_that_autograd_has_a_part_in_are_told(corpus: Corpus, teacher: Training, graphs: list[Graph]):
    specs = [tiny_run(D=2**11), COMPANY[4], COMPANY[7]]
    given = teachers_of(specs, teacher)
    told = train_together(specs, corpus, teachers=given)
    replayed = train_together(specs, corpus, teachers=given, graphs=True)
    for one, other in zip(told, replayed, strict=True):
        assert_same_bits(one, other)
    assert not graphs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_replays_what_it_is_told():
    total = torch.zeros(3, device="cuda")
    replay = Replay(lambda x: add_up(total, x), [torch.ones(3, device="cuda")], [total])
    assert replay(torch.tensor([1.0, 2.0, 3.0], device="cuda")).item() == 14.0
    assert replay(torch.tensor([1.0, 0.0, 0.0], device="cuda")).item() == 15.0
    assert total.tolist() == [2.0, 4.0, 9.0]
