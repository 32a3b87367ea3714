"""A saved law comes back as it was, with its draws; what is no law is refused."""

import json

import numpy as np
import pytest

from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.saved import Reach, load_draws, load_fit, load_law, load_reach, save_fit

LAW = published_law()


def supervised():
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 5e11, 6)))
    noise = np.exp(0.003 * np.random.default_rng(0).normal(size=N.size))
    return fit_supervised_law(N, D, LAW.supervised.loss(N, D) * noise, gamma="free")


def distillation(first):
    axes = np.meshgrid(np.geomspace(1.5e8, 7e9, 4), (10, 40, 160), (1.8, 2.0, 2.2, 2.6))
    N_S, M, L_T = (axis.ravel() for axis in axes)
    L_S = LAW.loss(N_S, M * N_S, L_T) * np.exp(0.003 * np.random.default_rng(1).normal(size=L_T.size))
    return fit_distillation_law(N_S, M * N_S, L_T, L_S, supervised=first)


def test_a_supervised_law_comes_back(tmp_path):
    fit = supervised()
    path = save_fit(tmp_path / "law.json", fit, fit.bootstrap(30))
    assert load_law(path) == fit.law
    assert len(load_draws(path)) == 30
    content = json.loads(path.read_text())
    assert content["fitted_range"]["N"] == pytest.approx([1e8, 1e10])
    assert content["intervals"]["coefficients"]["alpha"]["low"] < fit.law.alpha


@pytest.mark.parametrize("both", [True, False])
def test_a_distillation_law_comes_back_with_its_draws(tmp_path, both):
    first = supervised()
    fit = distillation(first if both else first.law)
    boot = fit.bootstrap(10)
    path = save_fit(tmp_path / "law.json", fit, boot)
    assert load_law(path) == fit.law
    assert load_draws(path) == boot.laws()
    at_once = load_fit(path)
    assert (at_once.law, list(at_once.draws)) == (fit.law, boot.laws())
    assert at_once.reach == load_reach(path)
    assert (load_draws(path)[1].supervised == first.law) is (not both)


def test_without_a_bootstrap_there_are_no_draws(tmp_path):
    assert load_draws(save_fit(tmp_path / "law.json", supervised())) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no saved law"),
        ('{"format": "distill-lib law 1"}', "holds no law"),
        (
            '{"format": "distill-lib law 1", "kind": "supervised", "law": {"E": 1.0}}',
            "missing: A, B, alpha, beta",
        ),
        ('{"format": "distill-lib law 1", "kind": "other", "law": {}}', "holds no law"),
    ],
)
def test_what_is_no_law_is_refused(tmp_path, text, words):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_law(path)


def test_its_reach_comes_back(tmp_path):
    fit = distillation(LAW.supervised)
    path = save_fit(tmp_path / "law.json", fit)
    reach = load_reach(path)
    assert reach.fitted_range["N_S"] == pytest.approx((1.5e8, 7e9))
    assert reach.fitted_range["D_S"] == pytest.approx((10 * 1.5e8, 160 * 7e9))
    assert (reach.mean_error, reach.status) == (fit.mean_error, fit.status)
    content = json.loads(path.read_text())
    for broken in ({"fitted_range": {"N_S": 3}}, {"fitted_range": [1]}, {"mean_error": "small"}):
        path.write_text(json.dumps(content | broken))
        with pytest.raises(
            ValueError, match=r"law.json does not say what it was fitted on: .*; save the law again"
        ):
            load_reach(path)


def test_what_a_file_does_not_tell_is_left_open(tmp_path):
    path = tmp_path / "bare.json"
    bare = {"format": "distill-lib law 1", "kind": "distillation", "law": LAW.to_dict()}
    path.write_text(json.dumps(bare))
    found = load_fit(path)
    assert (found.law.to_dict(), found.draws) == (LAW.to_dict(), ())
    assert found.reach == Reach({}, None, "")
    for broken, words in (([{"A": 1.0}], "missing: "), ([3], "unsupported operand"), (7, "not iterable")):
        path.write_text(json.dumps(bare | {"draws": broken}))
        with pytest.raises(
            ValueError, match=f"bare.json holds a draw that is no law: .*{words}.*; save the law"
        ):
            load_fit(path)
        assert load_law(path) == found.law


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path, read = save_fit(tmp_path / "law.json", supervised()), []
    whole = type(path).read_text
    monkeypatch.setattr(type(path), "read_text", lambda self, **how: read.append(self) or whole(self, **how))
    load_fit(path)
    assert read == [path]
