"""What SMIRK's training does to its pictures."""

import torch

from harness.methods.smirk.training import before_other_backgrounds


def test_backgrounds_change_and_subjects_stay() -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(40, 3, 24, 24, generator=rng)
    masks = torch.zeros(40, 1, 24, 24, dtype=torch.bool)
    masks[..., 6:18, 8:20] = True
    changed = before_other_backgrounds(images, masks, 0.5, rng)
    same = (changed == images).all(dim=1, keepdim=True)
    assert same[masks].all() and float(changed.min()) >= 0 and float(changed.max()) <= 1
    share = float((~same & ~masks).flatten(1).any(dim=1).float().mean())
    assert 0.25 < share < 0.75
    assert torch.equal(before_other_backgrounds(images, masks, 0.0, rng), images)
    everywhere = before_other_backgrounds(images, masks, 1.0, rng)
    assert (everywhere != images).any(dim=1, keepdim=True)[~masks].all()
