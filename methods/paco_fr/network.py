"""PaCo-FR's pre-training: an encoder learns to restore pictures whose patches were replaced from a codebook.

Three of four patches are replaced by learnt tokens in pixel space, of which every place of the picture has a few; the
Belief Predictor says from a patch's pixels which one. All patches, replaced or not, go through a plain vision
transformer, and a single further layer restores the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import HarnessError
from harness.methods.farl.network import CLIP_MEAN, CLIP_STD
from harness.methods.networks.vit import Block, VisionTransformer, ViTSizes

SELECTIONS = ("belief", "random")


@dataclass(frozen=True)
class PacoSizes:
    """Dimensions and switches; the defaults are as published, where that is known.

    Attributes:
        vit: of the encoder.
        tokens: of each place of the picture.
        shared: one set of tokens for all places; with one token this is the mask token of masked autoencoders.
        selection: who chooses among a place's tokens: "belief" (the Belief Predictor) or "random".
        belief: width of the Belief Predictor's hidden layer, which the paper does not tell.
        masked: share of the patches that are replaced.
        decoder_heads: of the decoder's attention.
    """

    vit: ViTSizes = field(default_factory=ViTSizes)
    tokens: int = 3
    shared: bool = False
    selection: str = "belief"
    belief: int = 256
    masked: float = 0.75
    decoder_heads: int = 12

    def __post_init__(self) -> None:
        if self.selection not in SELECTIONS:
            raise HarnessError(f"paco_fr: selection={self.selection!r}, expected one of {', '.join(SELECTIONS)}")
        if self.tokens < 1 or not 0 < self.masked < 1:
            raise HarnessError(f"paco_fr: tokens={self.tokens}, masked={self.masked}; expected 1 or more, and 0 to 1")

    @property
    def patches(self) -> int:
        """Places of a picture."""
        return self.vit.side**2

    @property
    def believes(self) -> bool:
        """Whether there is a choice that the Belief Predictor makes."""
        return self.selection == "belief" and self.tokens > 1


PAPER = PacoSizes()
MINI = PacoSizes(ViTSizes(image=96, patch=12, width=96, depth=6, heads=3, out=1), belief=64, decoder_heads=3)
MINI_TAPS = (0, 1, 3, 5)
"""Layers 1, 2, 4 and 6 of six, counted from 1: in the ratios of the paper's 2, 4, 8 and 12 of twelve."""

ABLATIONS = {
    "paco_fr": MINI,
    "one_token": replace(MINI, tokens=1, shared=True),
    "1x196": replace(MINI, tokens=1),
    "random_3": replace(MINI, selection="random"),
    "random_5": replace(MINI, tokens=5, selection="random"),
    "belief_5": replace(MINI, tokens=5),
}
"""The rows of the paper's Table 7 at mini size, `196` standing for as many places as there are."""


class Restored(NamedTuple):
    """What became of B pictures of K patches of P numbers.

    Attributes:
        given: (B, K, P) normalised patches of the pictures.
        shown: (B, K, P) what the encoder saw.
        patches: (B, K, P) what the decoder made of it.
    """

    given: Tensor
    shown: Tensor
    patches: Tensor


class BeliefPredictor(nn.Module):
    """Which of its place's tokens a patch is likest to.

    The paper tells neither layers nor widths: one hidden layer, to which an embedding of the place is added, and
    dropout that acts while it learns.
    """

    def __init__(self, sizes: PacoSizes) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * sizes.vit.patch**2, sizes.belief)
        self.places = nn.Parameter(0.02 * torch.randn(sizes.patches, sizes.belief))
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(sizes.belief, sizes.tokens)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, K, P) normalised patches -> (B, K, tokens) logits."""
        return self.out(self.dropout(functional.gelu(self.hidden(patches) + self.places)))


class Pretrainer(nn.Module):
    """Encoder, codebook, Belief Predictor and decoder."""

    def __init__(self, sizes: PacoSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, numbers = sizes.vit.width, 3 * sizes.vit.patch**2
        self.image_mean: Tensor
        self.image_std: Tensor
        self.register_buffer("image_mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(CLIP_STD).view(1, 3, 1, 1))
        self.visual = VisionTransformer(sizes.vit)
        self.codebook = nn.Parameter(0.5 * torch.randn(1 if sizes.shared else sizes.patches, sizes.tokens, numbers))
        self.belief = BeliefPredictor(sizes) if sizes.believes else None
        self.decoder_positions = nn.Parameter(0.02 * torch.randn(sizes.patches + 1, width))
        self.decoder = Block(width, sizes.decoder_heads)
        self.to_pixels = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, numbers))

    def patches(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..1 -> (B, K, P) normalised patches."""
        return to_patches((images - self.image_mean) / self.image_std, self.sizes.vit.patch)

    def restore(self, shown: Tensor) -> Tensor:
        """(B, K, P) patches as the encoder is to see them -> (B, K, P) as the decoder restores them."""
        pictures = to_pictures(shown, self.sizes.vit.patch)
        tokens = self.visual.ln_post(self.visual.blocks(pictures)[-1])
        return self.to_pixels(self.decoder(tokens + self.decoder_positions)[:, 1:])

    def replaced(self, given: Tensor, masked: Tensor, chosen: Tensor) -> Tensor:
        """(B, K, P) patches, with token number `chosen` (B, K) of each place wherever `masked` (B, K) is true."""
        book = self.codebook.expand(self.sizes.patches, -1, -1)
        tokens = book[torch.arange(self.sizes.patches, device=given.device), chosen]
        return torch.where(masked[..., None], tokens, given)

    @torch.no_grad()
    def believed(self, given: Tensor) -> Tensor:
        """(B, K) the token of each patch of the highest probability; of a place with one token that one."""
        if self.belief is None:
            return torch.zeros(given.shape[:2], dtype=torch.int64, device=given.device)
        return self.belief(given).argmax(dim=2)

    @torch.no_grad()
    def likest(self, given: Tensor, masked: Tensor) -> Tensor:
        """(B, K) the labels that the Belief Predictor learns.

        The picture is restored once with each number of token at all masked places; the label of a place is the number
        with which its restored patch is most like the given one. The paper's equation 5 says the smallest cosine, its
        text the most similar, which is the largest; this takes the text's word.
        """
        likeness = []
        for number in range(self.sizes.tokens):
            chosen = torch.full(given.shape[:2], number, device=given.device)
            restored = self.restore(self.replaced(given, masked, chosen))
            likeness.append(functional.cosine_similarity(restored, given, dim=2))
        return torch.stack(likeness).argmax(dim=0)

    def forward(self, images: Tensor, masked: Tensor, chosen: Tensor) -> Restored:
        """(B, 3, S, S) RGB in 0..1, what is replaced (B, K) and by which token (B, K)."""
        given = self.patches(images)
        shown = self.replaced(given, masked, chosen)
        return Restored(given, shown, self.restore(shown))


def to_patches(images: Tensor, patch: int) -> Tensor:
    """(B, 3, S, S) -> (B, K, 3 * patch * patch), patches row by row, numbers of a patch as in a (3, patch, patch)."""
    return functional.unfold(images, patch, stride=patch).transpose(1, 2)


def to_pictures(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `to_patches`."""
    side = patch * round(patches.shape[1] ** 0.5)
    return functional.fold(patches.transpose(1, 2), (side, side), patch, stride=patch)


def random_mask(count: int, patches: int, share: float, generator: torch.Generator) -> Tensor:
    """(count, patches) bool: the same number of random patches of each picture, rounded from the share."""
    order = torch.rand(count, patches, generator=generator).argsort(dim=1)
    return order.argsort(dim=1) < round(share * patches)
