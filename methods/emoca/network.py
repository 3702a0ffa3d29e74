"""EMOCA (Danecek et al., CVPR 2022): DECA with a second residual network for the expression.

Modules are named as in the official checkpoints behind their prefix `deca.`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from harness.methods.deca import network as deca
from harness.methods.deca.network import MILLIMETRES, DetailDecoder, Encoder, displacement, split, start_camera
from harness.methods.regression.codes import Codes


@dataclass(frozen=True)
class Sizes(deca.Sizes):
    """Dimensions of an EMOCA network; the defaults are as published for the first version.

    Attributes:
        own_turn: the second encoder gives the turn of the head, too (`exp_deca_global_pose`).
        own_jaw: it gives the jaw, too (`exp_deca_jaw_pose`).
    """

    own_turn: bool = False
    own_jaw: bool = False

    @property
    def outputs(self) -> dict[str, int]:
        """How many numbers of `E_expression`'s output belong to what, in their order."""
        codes = {"expression": self.expression}
        codes |= {"turn": 3} if self.own_turn else {}
        return codes | ({"jaw": 3} if self.own_jaw else {})

    def with_outputs(self, count: int) -> Sizes:
        """The same with an `E_expression` of `count` outputs. Raises ValueError for a number that none has."""
        for own_turn, own_jaw in ((False, False), (False, True), (True, True)):
            sizes = replace(self, own_turn=own_turn, own_jaw=own_jaw)
            if sum(sizes.outputs.values()) == count:
                return sizes
        raise ValueError(f"an expression encoder has {self.expression}, + 3 (jaw) or + 6 (turn and jaw) outputs")


PAPER = Sizes()
MINI = Sizes(**vars(deca.MINI), own_jaw=True)


class Emoca(nn.Module):
    """Reads what DECA reads; the expression (and, by its sizes, turn and jaw) from an encoder of its own."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.E_flame = Encoder(sizes.backbone, sizes.hidden, sum(sizes.codes.values()))
        self.E_expression = Encoder(sizes.backbone, sizes.hidden, sum(sizes.outputs.values()))
        self.E_detail: Encoder | None = None
        self.D_detail: DetailDecoder | None = None
        if sizes.detail:
            self.E_detail = Encoder(sizes.backbone, sizes.hidden, sizes.detail)
            self.D_detail = DetailDecoder(3 + sizes.expression + sizes.detail)
        start_camera(self.E_flame, sizes)

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without eyelids and tokens."""
        outputs = self.sizes.outputs
        own = self.E_expression(crops).split(list(outputs.values()), dim=1)
        return replace(split(self.E_flame(crops), self.sizes), **dict(zip(outputs, own, strict=True)))

    def displacement(self, crops: Tensor, codes: Codes) -> Tensor:
        """(B, 3, S, S) crops and what was read from them -> (B, 1, 256, 256) along the normals, millimetres, in UV.

        Raises:
            TypeError: the network was built without a detail branch.
        """
        return MILLIMETRES * displacement(self.E_detail, self.D_detail, crops, codes)
