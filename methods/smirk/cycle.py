"""SMIRK's second path: other expressions for the same faces, so that a drawn one must be read as it was meant."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from harness.methods.regression.codes import Codes

SPREAD = 0.25
"""What one unit of FLAME's expression coefficients is among the procedural head's, which go from 0 to 1."""


def other_expressions(codes: Codes, templates: Tensor, generator: torch.Generator) -> Codes:
    """The codes with new expressions, jaws and lids, in four groups: disturbed, another's, a template, none.

    Args:
        codes: of B crops.
        templates: (B, E) expressions of other people.
        generator: on the CPU.
    """
    assert codes.expression is not None and codes.jaw is not None and codes.eyelids is not None
    count, width = codes.expression.shape
    like = codes.expression

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator).to(like)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(like)

    strength = 0.25 + 1.25 * uniform(count, 1)
    order = torch.randperm(count, generator=generator).to(like.device)
    some = (uniform(count, width) < 0.5).to(like)
    choices = torch.stack(
        [
            (like + SPREAD * normal(count, width) * (1 + 2 * uniform(count, 1)) * some).clamp(-4 * SPREAD, 4 * SPREAD),
            like[order] * strength,
            templates * strength,
            torch.zeros_like(like),
        ]
    )
    group = torch.arange(count, device=like.device) % 4
    expression = choices[group, torch.arange(count, device=like.device)]
    expression = expression + SPREAD * 0.2 * uniform(count, 1) * normal(count, width)
    open_or_not = (uniform(count, 1) < 0.5).to(like)
    jaw = codes.jaw + 0.2 * normal(count, 3) * torch.tensor([1.0, 0.1, 0.1]).to(like) * open_or_not
    jaw = torch.cat([jaw[:, :1].clamp(0, 0.5), jaw[:, 1:].clamp(-0.2, 0.2)], dim=1)
    lids = (codes.eyelids + 0.25 * (2 * uniform(count, 2) - 1)).clamp(0, 1)
    rest = (group == 3)[:, None]
    return replace(
        codes,
        expression=expression,
        jaw=torch.where(rest, torch.zeros_like(jaw), jaw),
        eyelids=torch.where(rest, uniform(count, 2), lids),
    )


def cycle_loss(found: Codes, meant: Codes) -> Tensor:
    """Mean squares of expression, and ten times those of jaw and lids."""
    pairs = (
        (found.expression, meant.expression, 1.0),
        (found.jaw, meant.jaw, 10.0),
        (found.eyelids, meant.eyelids, 10.0),
    )
    total = meant.shape.new_zeros(())
    for read, truth, weight in pairs:
        assert read is not None and truth is not None
        total = total + weight * (read - truth).square().mean()
    return total
