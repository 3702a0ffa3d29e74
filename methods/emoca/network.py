"""EMOCA (Danecek et al., CVPR 2022): DECA with a second residual network for the expression.

Modules are named as in the official checkpoints behind their prefix `deca.`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from harness.methods.deca import network as deca
from harness.methods.deca.network import Deca, Encoder
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


class Emoca(Deca):
    """Reads what DECA reads; the expression (and, by its sizes, turn and jaw) from an encoder of its own."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.outputs = sizes.outputs
        self.E_expression = Encoder(sizes.backbone, sizes.hidden, sum(sizes.outputs.values()))

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without eyelids and tokens."""
        own = self.E_expression(crops).split(list(self.outputs.values()), dim=1)
        return replace(super().forward(crops), **dict(zip(self.outputs, own, strict=True)))
