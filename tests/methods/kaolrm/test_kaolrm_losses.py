"""KaoLRM's losses against plain twins in double precision and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.methods.kaolrm.losses import binding, dissimilarity, landmark_loss, mask_loss, pixel_loss

RNG = np.random.default_rng(0)


def test_landmarks_are_hubers_in_pixels_of_192() -> None:
    seen = RNG.uniform(1, 60, (2, 2, 68, 2))
    found = seen + RNG.normal(0, 1, seen.shape)
    seen[1, 0, 5, 0] = -0.1  # cut off at the left: this picture does not count
    error = 3 * np.abs(found - seen)[np.array([[True, True], [False, True]])]
    huber = np.where(error < 1, 0.5 * error**2, error - 0.5)
    expected = huber.mean() + huber[:, 17:48].mean() + huber[:, 48:].mean()
    got = landmark_loss(torch.from_numpy(found), torch.from_numpy(seen), 64)
    assert float(got) == pytest.approx(expected, rel=1e-12)
    nothing = landmark_loss(torch.from_numpy(found).requires_grad_(), torch.full((2, 2, 68, 2), -1.0), 64)
    assert float(nothing.detach()) == 0 and nothing.requires_grad


def structural_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Wang et al. 2004, window by window."""
    bell = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    weights = np.outer(bell, bell) / bell.sum() ** 2
    values = []
    for a, b in zip(first.reshape(-1, *first.shape[-2:]), second.reshape(-1, *second.shape[-2:]), strict=True):
        for y in range(a.shape[0] - 10):
            for x in range(a.shape[1] - 10):
                p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
                m, n = (weights * p).sum(), (weights * q).sum()
                v, w = (weights * (p - m) ** 2).sum(), (weights * (q - n) ** 2).sum()
                c = (weights * (p - m) * (q - n)).sum()
                values.append((2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m * m + n * n + 1e-4) * (v + w + 9e-4)))
    return float(np.mean(values))


def test_dissimilarity_is_one_less_ssim() -> None:
    first = RNG.uniform(0, 1, (2, 3, 14, 13))
    second = np.clip(first + RNG.normal(0, 0.2, first.shape), 0, 1)
    got = dissimilarity(torch.from_numpy(first), torch.from_numpy(second))
    assert float(got) == pytest.approx(1 - structural_similarity(first, second), abs=1e-12)
    assert float(dissimilarity(torch.from_numpy(first), torch.from_numpy(first))) == pytest.approx(0, abs=1e-12)


@given(share=st.floats(0, 1), error=st.floats(-1, 1))
def test_pixels_of_the_subject_count_more(share: float, error: float) -> None:
    seen = torch.zeros(1, 3, 10, 10, dtype=torch.float64)
    masks = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    masks[..., : round(10 * share)] = 1
    inside = round(10 * share) / 10
    assert float(pixel_loss(seen + error, seen, masks)) == pytest.approx(error**2 * (inside + 0.3 * (1 - inside)))


def test_masks_and_binding_by_hand() -> None:
    assert float(mask_loss(torch.full((1, 2, 2), 0.5), torch.tensor([[[1.0, 0], [0, 0]]]))) == 0.25
    where = torch.tensor([[[True, False], [False, True]]])
    values = torch.tensor([[[[1.0, 2], [9, 9]], [[9, 9], [0, 0]]]])
    assert float(binding(values, torch.zeros_like(values), where)) == 1.5  # (1 + 2 + 0 + 0) / 2 pixels
    assert float(binding(values, torch.zeros_like(values), torch.zeros_like(where))) == 0
