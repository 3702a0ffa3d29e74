"""What a regressor reads from a crop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Codes:
    """Coefficients of a head and of its picture for a batch of B crops.

    Attributes:
        shape: (B, S) identity.
        expression: (B, E), or None of a method that reads identity alone (MICA).
        turn: (B, 3) axis-angle radians of the whole head about its first joint; None as above.
        jaw: (B, 3) axis-angle radians of the jaw joint; None as above.
        camera: (B, 3) scale, tx, ty of the weak-perspective camera, whose lengths are metres; None as above.
        eyelids: (B, 2) how far the left and the right lid are closed, 0..1 (SMIRK, TEASER).
        texture: (B, T) albedo coefficients (DECA, EMOCA).
        light: (B, 9, 3) spherical harmonics per colour (DECA, EMOCA).
        tokens: (B, 4, D) appearance tokens (TEASER).
    """

    shape: Tensor
    expression: Tensor | None = None
    turn: Tensor | None = None
    jaw: Tensor | None = None
    camera: Tensor | None = None
    eyelids: Tensor | None = None
    texture: Tensor | None = None
    light: Tensor | None = None
    tokens: Tensor | None = None

    def rows(self, which: slice) -> Codes:
        """The codes of some of the crops."""
        return self._each(lambda value: value[which])

    def detached(self) -> Codes:
        """The same values without their history."""
        return self._each(lambda value: value.detach())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Codes:
        present = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: change(value) for name, value in present.items()})
