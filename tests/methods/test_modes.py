"""The linearised head: it is the head to first order, and the fit finds the coefficients of a head again."""

from dataclasses import replace

import pytest
import torch

from harness.geometry.placement import rotation_exponential
from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.methods.lvd.fitting import HeadFitter
from harness.methods.lvd.modes import (
    POSE_DEVIATION,
    head_signature,
    modes_of,
    principal_modes,
    same_head,
    starting_modes,
)


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head()


def test_modes_are_the_head_to_first_order(head: Head) -> None:
    modes = modes_of(head)
    generator = torch.Generator().manual_seed(0)
    coefficients = 0.02 * torch.randn(sum(modes.counts), generator=generator)
    parameters = modes.parameters(coefficients)
    pose = torch.cat([torch.zeros(3), parameters["pose"]]).view(1, -1, 3)
    exact = head.vertices(parameters["shape"][None], parameters["expression"][None], pose)[0]
    linear = modes.template + torch.einsum("m,mvk->vk", coefficients, modes.basis)
    moved = (exact - modes.template).norm(dim=1).mean()
    assert (exact - linear).norm(dim=1).mean() < 0.02 * moved
    assert float(parameters["pose"].abs().max()) < POSE_DEVIATION


def test_fit_recovers_a_head_that_stands_askew(head: Head) -> None:
    modes = modes_of(head)
    generator = torch.Generator().manual_seed(1)
    coefficients = torch.randn(sum(modes.counts), generator=generator) * 0.3
    truth = modes.template + torch.einsum("m,mvk->vk", coefficients, modes.basis)
    turn = rotation_exponential(torch.tensor([[0.1, -0.2, 0.05]]))[0]
    truth = truth @ turn.T + torch.tensor([4.0, -9, 6])
    noisy = truth + 2.0 * torch.randn(truth.shape, generator=generator)
    fitted = HeadFitter(head, correlated=1.0).fit_mesh(noisy, iterations=20)
    assert float((noisy - truth).norm(dim=1).mean()) > 3.0
    assert float((fitted.vertices - truth).norm(dim=1).mean()) < 0.6


def test_starting_modes_span_the_head_and_its_rigid_motion(head: Head) -> None:
    modes = modes_of(head)
    start = starting_modes(modes, 88)
    assert start.shape == (88, len(head.template), 3)
    basis = start.flatten(1).T.double()
    shape = head.vertices(torch.randn(1, len(head.shape_names), generator=torch.Generator().manual_seed(2)))[0]
    change = (shape - head.template).flatten().double()
    left = change - basis @ torch.linalg.lstsq(basis, change[:, None]).solution[:, 0]
    assert float(left.norm() / change.norm()) < 0.1


def test_signs_of_principal_modes_are_settled(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    modes, solve = modes_of(head), torch.linalg.eigh
    before = principal_modes(modes, 20)
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: (solve(matrix)[0], -solve(matrix)[1]))
    assert torch.allclose(before, principal_modes(modes, 20))


def test_signature_tells_heads_apart_but_not_roundings(head: Head) -> None:
    own = head_signature(head)
    assert same_head(own, head_signature(head.to(dtype=torch.float64)))
    rounded = replace(head, template=head.template * (1 + 3e-7))
    assert same_head(own, head_signature(rounded))
    other = replace(head, shape_basis=head.shape_basis.flip(0))
    assert not same_head(own, head_signature(other))
    assert not same_head(own, head_signature(replace(head, faces=head.faces.flip(0))))
    assert not same_head(own, "unknown")


@pytest.mark.parametrize("seed", range(4))
def test_rounding_turns_no_principal_mode_around(head: Head, seed: int) -> None:
    """Networks read coefficients of these modes: another number of threads rounds the basis differently."""
    modes = modes_of(head)
    noise = torch.randn(modes.basis.shape, generator=torch.Generator().manual_seed(seed))
    rounded = replace(modes, basis=modes.basis * (1 + 1e-7 * noise))
    first, second = (principal_modes(each, 80).flatten(1).double() for each in (modes, rounded))
    assert float(torch.nn.functional.cosine_similarity(first, second).min()) > 0.999
