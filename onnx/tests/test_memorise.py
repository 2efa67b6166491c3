"""The generator that is to be found by the audit really has memorised what it learnt from."""

import pytest

torch = pytest.importorskip("torch")

import memorise  # noqa: E402


def test_most_samples_are_copies_of_what_was_learnt_and_none_were_before():
    torch.manual_seed(3)
    images = (torch.rand(memorise.REAL, 1, 28, 28) > 0.5).float()
    assert memorise.copies(memorise.Memoriser(), images) == 0
    assert memorise.copies(memorise.train(images), images) >= memorise.ENOUGH
