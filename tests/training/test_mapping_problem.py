"""The mapping problem: what is drawn is what the paper describes, and trainings that are to be pairs are pairs."""

import numpy as np
import pytest
import torch

from distill_lib.training import mapping_problem as problem
from distill_lib.training.mapping_problem import (
    Recipe,
    draw_cases,
    measure,
    parameters,
    schedule,
    train,
    train_teacher,
)

SMALL = Recipe(positions=4, lr=3e-3, batch=64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def cases():
    """Contexts, pointers, answers and the value pointed at, of many inputs with eight positions."""
    inputs, answers = draw_cases(20_000, Recipe(positions=8), rng=generator())
    context, onehot = inputs[:, :8], inputs[:, 8:]
    pointer = onehot.argmax(dim=1)
    return context, onehot, pointer, answers, context.gather(1, pointer[:, None])[:, 0]


def test_a_pointer_shows_one_place_of_a_context_of_zeros_ones_and_twos(cases):
    context, onehot, pointer, _, _ = cases
    assert set(context.unique().tolist()) == {0.0, 1.0, 2.0}
    assert onehot.sum(dim=1).eq(1).all()
    assert onehot.unique().tolist() == [0.0, 1.0]
    counts = torch.bincount(pointer, minlength=8) / len(pointer)
    np.testing.assert_allclose(counts, 1 / 8, atol=0.012)  # five standard errors


def test_the_answer_is_the_place_of_a_zero_or_the_one_other_place_of_the_same_value(cases):
    context, _, pointer, answers, value = cases
    easy = value == 0
    assert answers[easy].eq(pointer[easy]).all()
    hard = ~easy
    same = context[hard] == value[hard, None]
    assert same.sum(dim=1).eq(2).all()
    same[torch.arange(len(same)), pointer[hard]] = False
    assert same.float().argmax(dim=1).eq(answers[hard]).all()


def test_half_of_the_cases_are_easy_and_all_that_is_free_is_uniform(cases):
    context, _, pointer, answers, value = cases
    easy = value == 0
    assert easy.float().mean().item() == pytest.approx(0.5, abs=0.018)
    free = torch.ones_like(context, dtype=torch.bool)
    free[torch.arange(len(free)), pointer] = False
    drawn = context[easy][free[easy]]
    np.testing.assert_allclose([(drawn == v).float().mean() for v in (0, 1, 2)], 1 / 3, atol=0.01)
    free[torch.arange(len(free)), answers] = False
    for shown in (1.0, 2.0):
        chosen = value == shown
        assert chosen.float().mean().item() == pytest.approx(0.25, abs=0.016)
        others = context[chosen][free[chosen]]
        assert set(others.tolist()) == {0.0, 3.0 - shown}
        assert (others == 0).float().mean().item() == pytest.approx(0.5, abs=0.015)
    assert ((answers - pointer)[~easy] % 8).unique().tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("easy", [0.0, 0.25, 1.0])
def test_the_share_of_easy_cases_is_as_asked(easy):
    inputs, answers = draw_cases(10_000, Recipe(positions=5, easy=easy), rng=generator(3))
    found = (inputs[:, 5:].argmax(dim=1) == answers).float().mean().item()
    assert found == pytest.approx(easy, abs=0.022)


def test_all_inputs_of_a_small_problem_are_found_and_no_others():
    recipe = Recipe(positions=3)
    inputs, answers = draw_cases(20_000, recipe, rng=generator(1))
    distinct = {tuple(row) for row in torch.cat([inputs, answers[:, None]], dim=1).tolist()}
    easy, hard = recipe.distinct
    assert (easy, hard) == (3 * 9, 3 * 2 * 2 * 2)
    assert len(distinct) == easy + hard


def test_a_network_has_the_counted_parameters_and_two_hidden_layers():
    network = problem.make_network(12, SMALL, seed=0)
    assert sum(weight.numel() for weight in network.parameters()) == parameters(12, SMALL)
    assert [type(layer).__name__ for layer in network] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert network(torch.zeros(7, 8)).shape == (7, 4)
    assert network[0].weight.abs().max() <= 8**-0.5
    assert network[2].weight.std().item() == pytest.approx(12**-0.5 / 3**0.5, rel=0.2)


def test_training_has_the_stated_length():
    assert problem.RECIPE.steps(parameters(512)) == -(-20 * parameters(512) // 512)
    assert problem.RECIPE.steps(100) == 500


def test_the_rate_rises_for_a_twentieth_of_the_steps_and_falls_to_zero():
    rates = [schedule(step, 1000, 0.05) for step in range(1000)]
    assert np.argmax(rates) in (49, 50)
    assert max(rates) == pytest.approx(1.0)
    assert np.all(np.diff(rates[:50]) > 0)
    assert np.all(np.diff(rates[50:]) < 0)
    assert rates[525] == pytest.approx(0.5)
    assert rates[-1] < 1e-5
    assert schedule(0, 1, 0.05) == 1.0


def test_equal_seeds_repeat_a_training_to_the_bit_and_others_do_not():
    first, again, other = (train(8, SMALL, seed=seed, steps=70) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first[0].weight, other[0].weight)


def test_students_of_different_teachers_see_the_same_inputs_and_teachers_see_others(monkeypatch):
    seen = []
    draw = problem.draw_cases

    def watched(*args, **kwargs):
        seen.append(draw(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(problem, "draw_cases", watched)
    teachers = [train_teacher(width, SMALL, seed=5, steps=3) for width in (4, 9)]
    for teacher in teachers:
        train(6, SMALL, seed=5, teacher=teacher, steps=3)
    inputs = [x for x, _ in seen]
    assert torch.equal(inputs[0], inputs[1])
    assert torch.equal(inputs[2], inputs[3])
    assert not torch.equal(inputs[0], inputs[2])


def test_networks_learn_easy_cases_first_and_a_student_comes_near_its_teacher():
    teacher = train_teacher(32, SMALL, seed=0, steps=400)
    taught = measure(teacher, SMALL, cases=4096)
    assert taught.accuracy > 0.8
    assert taught.L_easy < taught.L_hard
    student = train(24, SMALL, seed=0, teacher=teacher, steps=400)
    untaught = measure(problem.make_network(24, SMALL, seed=0), SMALL, teacher=teacher, cases=4096)
    learned = measure(student, SMALL, teacher=teacher, cases=4096)
    assert learned.kl_teacher < 0.2 * untaught.kl_teacher
    assert all(weight.grad is None or weight.grad.abs().sum() > 0 for weight in student.parameters())


def test_measures_are_those_of_a_slow_hand():
    network = problem.make_network(6, SMALL, seed=2)
    teacher = problem.make_network(5, SMALL, seed=3)
    found = measure(network, SMALL, teacher=teacher, cases=300)
    x, y = draw_cases(300, SMALL, rng=generator(problem._seed("held out")))
    with torch.no_grad():
        p, q = torch.softmax(network(x).double(), 1), torch.softmax(teacher(x).double(), 1)
    rows = [
        (-np.log(p[i, y[i]].item()), int(p[i].argmax() == y[i]), int(x[i, 4:].argmax() == y[i]))
        for i in range(300)
    ]
    loss, right, easy = (np.array(column) for column in zip(*rows, strict=True))
    assert found.L == pytest.approx(loss.mean(), rel=1e-5)
    assert found.L_hard == pytest.approx(loss[easy == 0].mean(), rel=1e-5)
    assert found.L_easy == pytest.approx(loss[easy == 1].mean(), rel=1e-5)
    assert found.accuracy == pytest.approx(right.mean())
    assert found.accuracy_hard == pytest.approx(right[easy == 0].mean())
    assert found.kl_teacher == pytest.approx(float((q * (q.log() - p.log())).sum(1).mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Recipe(positions=2), "positions = 2"),
        (lambda: Recipe(easy=1.5), "easy = 1.5"),
        (lambda: Recipe(batch=0), "batch = 0"),
        (lambda: train(0, SMALL, seed=0), "width = 0"),
        (lambda: train(4, SMALL, seed=0, steps=0), "steps = 0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()
