"""PaCo-FR's losses: of the pixels, of a frozen network's features, and of the Belief Predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from harness.methods.paco_fr.network import Pretrainer, Restored, random_mask, to_pictures

Features = Callable[[Tensor], Sequence[Tensor]]
"""(B, 3, S, S) pictures, RGB in 0..1 -> (B, T, C) features of several layers of a frozen network."""

RANDOM_SHARE = 0.75
"""Of the replaced patches, while the Belief Predictor is incubated: those with a random token instead of its choice."""


def pixel_loss(restored: Restored) -> Tensor:
    """Mean squared error of all patches, replaced or not."""
    return functional.mse_loss(restored.patches, restored.given)


def perceptual_loss(true: Sequence[Tensor], found: Sequence[Tensor]) -> Tensor:
    """Minus the cosine of features (B, T, C) over their channels, its mean over tokens, summed over layers.

    The paper takes MoCo-v3's ViT-B/16 and names no layers; neither does it tell the weight.
    """
    pairs = zip(true, found, strict=True)
    return -torch.stack([functional.cosine_similarity(a, b, dim=2).mean() for a, b in pairs]).sum()


def perceived(net: Pretrainer, restored: Restored, features: Features) -> Tensor:
    """`perceptual_loss` of the given and the restored pictures."""
    patch = net.sizes.vit.patch
    true, found = (
        to_pictures(patches, patch) * net.image_std + net.image_mean for patches in (restored.given, restored.patches)
    )
    with torch.no_grad():
        wanted = features(true)
    return perceptual_loss(wanted, features(found))


def restoring_losses(
    net: Pretrainer, images: Tensor, generator: torch.Generator, features: Features | None = None
) -> dict[str, Tensor]:
    """Losses of a step after the incubation: the Belief Predictor's choice at all masked places."""
    count, patches = len(images), net.sizes.patches
    masked = random_mask(count, patches, net.sizes.masked, generator).to(images.device)
    if net.sizes.selection == "random":
        chosen = torch.randint(net.sizes.tokens, (count, patches), generator=generator).to(images.device)
    else:
        if net.belief is not None:
            net.belief.eval()
        chosen = net.believed(net.patches(images))
    return _losses(net, net(images, masked, chosen), features)


def incubating_losses(
    net: Pretrainer,
    images: Tensor,
    generator: torch.Generator,
    features: Features | None = None,
    random_share: float = RANDOM_SHARE,
) -> dict[str, Tensor]:
    """Losses of a step of the incubation: mostly random tokens, while the Belief Predictor learns which is best.

    Args:
        net: with a Belief Predictor.
        images: (B, 3, S, S) RGB in 0..1.
        generator: of everything random but dropout.
        features: of the perceptual loss.
        random_share: of the masked places; 0 for the ablation in which the Belief Predictor chooses from the start.
    """
    assert net.belief is not None
    count, patches = len(images), net.sizes.patches
    masked = random_mask(count, patches, net.sizes.masked, generator).to(images.device)
    given = net.patches(images)
    net.belief.train()
    with torch.random.fork_rng([given.device] if given.device.type == "cuda" else []):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))  # dropout has no generator of its own
        logits = net.belief(given)
    anything = torch.randint(net.sizes.tokens, (count, patches), generator=generator).to(images.device)
    guessed = (torch.rand(count, patches, generator=generator) < random_share).to(images.device)
    chosen = torch.where(guessed, anything, logits.argmax(dim=2))
    labels = net.likest(given, masked)
    losses = _losses(net, net(images, masked, chosen), features)
    return {**losses, "belief": functional.cross_entropy(logits[masked], labels[masked])}


def _losses(net: Pretrainer, restored: Restored, features: Features | None) -> dict[str, Tensor]:
    losses = {"pixels": pixel_loss(restored)}
    return losses if features is None else {**losses, "perceptual": perceived(net, restored, features)}
