"""PaCo-FR's pre-training against closed forms and slow twins: patches, codebook, labels of the Belief Predictor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import HarnessError
from harness.methods.networks.vit import ViTSizes
from harness.methods.paco_fr import losses
from harness.methods.paco_fr.network import (
    ABLATIONS,
    MINI,
    PAPER,
    PacoSizes,
    Pretrainer,
    random_mask,
    to_patches,
    to_pictures,
)
from harness.methods.paco_fr.pretraining import Pretraining, habits

TINY = PacoSizes(ViTSizes(image=12, patch=4, width=16, depth=2, heads=2, out=1), belief=8, decoder_heads=2)


@pytest.fixture
def net() -> Pretrainer:
    torch.manual_seed(0)
    return Pretrainer(TINY).eval()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_paper_size_has_the_paper_s_numbers() -> None:
    with torch.device("meta"):
        net = Pretrainer(PAPER)
    assert net.codebook.shape == (196, 3, 768) and net.codebook.numel() == 451_584
    assert sum(p.numel() for p in net.visual.parameters()) - net.visual.proj.numel() == 85_799_424
    assert int(random_mask(2, PAPER.patches, PAPER.masked, generator())[0].sum()) == 147


def test_patches_are_cut_row_by_row_and_put_back() -> None:
    images = torch.rand(2, 3, 12, 12)
    patches = to_patches(images, 4)
    assert torch.equal(patches[1, 5].unflatten(0, (3, 4, 4)), images[1, :, 4:8, 8:12])
    assert torch.equal(to_pictures(patches, 4), images)


def test_masks_have_equally_many_places_each_equally_often() -> None:
    masked = random_mask(4000, 9, 0.75, generator())
    assert (masked.sum(dim=1) == 7).all()
    assert (masked.double().mean(dim=0) - 7 / 9).abs().max() < 0.03  # four deviations


def test_tokens_stand_where_the_mask_is(net: Pretrainer) -> None:
    images, masked = torch.rand(2, 3, 12, 12), random_mask(2, 9, 0.75, generator())
    chosen = torch.randint(3, (2, 9), generator=generator())
    given = net.patches(images)
    shown = net.replaced(given, masked, chosen)
    for b in range(2):
        for k in range(9):
            expected = net.codebook[k, chosen[b, k]] if masked[b, k] else given[b, k]
            assert torch.equal(shown[b, k], expected)
    shared = Pretrainer(replace(TINY, tokens=1, shared=True))
    shown = shared.replaced(given, masked, torch.zeros_like(chosen))
    assert shared.codebook.shape == (1, 1, 48) and torch.equal(shown[masked], shared.codebook[0].expand(14, -1))


def test_labels_are_the_tokens_that_restore_best(net: Pretrainer) -> None:
    """Against float64 loops over numbers and places, cosine written out."""
    net.double()
    images, masked = torch.rand(2, 3, 12, 12).double(), random_mask(2, 9, 0.75, generator())
    given = net.patches(images)
    labels = net.likest(given, masked)
    likeness = np.empty((3, 2, 9))
    for number in range(3):
        book = net.codebook[:, number].detach()
        for b in range(2):
            shown = torch.stack([book[k] if masked[b, k] else given[b, k] for k in range(9)])
            restored = net.restore(shown[None])[0].detach().numpy()
            for k in range(9):
                x, y = restored[k], given[b, k].numpy()
                likeness[number, b, k] = x @ y / np.sqrt((x @ x) * (y @ y))
    assert np.array_equal(labels.numpy(), likeness.argmax(axis=0))
    assert len(np.unique(labels)) > 1


def test_only_chosen_tokens_learn_and_the_choice_has_no_gradient(net: Pretrainer) -> None:
    images = torch.rand(1, 3, 12, 12)
    sum(losses.restoring_losses(net, images, generator()).values()).backward()
    assert net.codebook.grad is not None and all(p.grad is None for p in net.belief.parameters())
    masked, chosen = random_mask(1, 9, 0.75, generator())[0], net.believed(net.patches(images))[0]
    touched = net.codebook.grad.abs().sum(dim=2) > 0
    expected = functional.one_hot(chosen, 3).bool() & masked[:, None]
    assert torch.equal(touched, expected)


def test_incubation_is_three_quarters_random_and_teaches_the_predictor(
    net: Pretrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    forward = Pretrainer.forward

    def spy(self: Pretrainer, images: torch.Tensor, masked: torch.Tensor, chosen: torch.Tensor) -> object:
        seen.append((self.believed(self.patches(images)) == chosen)[masked].double().mean())
        return forward(self, images, masked, chosen)

    monkeypatch.setattr(Pretrainer, "forward", spy)
    with torch.no_grad():
        net.belief.out.weight.zero_()  # so that dropout changes nothing
    images = torch.rand(400, 3, 12, 12)
    found = losses.incubating_losses(net, images, generator())
    assert set(found) == {"pixels", "belief"}
    assert abs(seen[0] - (0.25 + 0.75 / 3)) < 0.04  # a random token is the chosen one, one time in three
    found["belief"].backward()
    assert net.belief.out.bias.grad.abs().sum() > 0
    assert net.codebook.grad is None, "labels have no gradient"
    losses.incubating_losses(net, images, generator(), random_share=0.0)
    assert seen[1] == 1


def test_a_step_depends_on_its_generator_alone(net: Pretrainer) -> None:
    images = torch.rand(4, 3, 12, 12)
    first, again, other = (
        float(sum(losses.incubating_losses(net, images, generator(seed)).values())) for seed in (5, 5, 6)
    )
    assert first == again != other


def test_losses_in_closed_form(net: Pretrainer) -> None:
    a = torch.randn(2, 5, 7)
    assert losses.perceptual_loss([a, a], [2 * a, 3 * a]).item() == pytest.approx(-2)
    x, y = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 1.0]]])
    assert losses.perceptual_loss([x], [y]).item() == pytest.approx(-np.sqrt(0.5))
    images = torch.rand(3, 3, 12, 12)
    masked, chosen = random_mask(3, 9, 0.75, generator()), torch.zeros(3, 9, dtype=torch.int64)
    restored = net(images, masked, chosen)
    expected = ((restored.patches - restored.given) ** 2).double().mean()
    assert losses.pixel_loss(restored).item() == pytest.approx(expected.item(), rel=1e-6)
    colours: list[torch.Tensor] = []

    def features(pictures: torch.Tensor) -> list[torch.Tensor]:
        colours.append(pictures)
        return [pictures.flatten(2)]

    losses.perceived(net, restored, features)
    assert torch.allclose(colours[0], images, atol=1e-6), "the network sees colours in 0..1"


def test_the_rows_of_table_7() -> None:
    images = torch.rand(2, 3, 96, 96)
    for name, sizes in ABLATIONS.items():
        net = Pretrainer(sizes)
        assert (net.belief is None) == (name in ("one_token", "1x196", "random_3", "random_5"))
        assert float(losses.restoring_losses(net, images, generator())["pixels"]) > 0
        assert set(Pretraining().schedules(sizes.believes)) == ({"incubate", "restore"} if net.belief else {"restore"})
    assert set(Pretraining(incubation=False).schedules(True)) == {"together"}
    assert sum(s.steps for s in Pretraining().schedules(True).values()) == Pretraining().steps


def test_habits_of_a_predictor_that_always_says_the_same(net: Pretrainer) -> None:
    with torch.no_grad():
        net.belief.out.weight.zero_()
        net.belief.out.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    images, masked = torch.rand(8, 3, 12, 12), random_mask(8, 9, 0.75, generator())
    found = habits(net, images, masked)
    labels = net.likest(net.patches(images), masked)[masked]
    assert found.shares == [0, 1, 0] and found.hits == pytest.approx((labels == 1).double().mean().item())


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(HarnessError, match="selection='best', expected one of belief, random"):
        replace(MINI, selection="best")
    with pytest.raises(HarnessError, match="tokens=0"):
        replace(MINI, tokens=0)
