"""A part of a head moves exactly as the whole."""

import torch

from harness.heads.procedural import procedural_head
from harness.heads.restricted import restricted


def test_its_vertices_and_landmarks_are_those_of_the_whole() -> None:
    head = procedural_head().to(dtype=torch.float64)
    chosen = torch.tensor([5, 17, 4000])
    part = restricted(head, chosen)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    codes = (draw(2, 82), 0.3 * draw(2, 46), 0.3 * draw(2, 5, 3))
    whole, some = head.vertices(*codes), part.vertices(*codes)
    assert len(part.template) < len(head.template) / 4
    for index in chosen:
        place = int((part.template == head.template[index]).all(dim=1).nonzero()[0, 0])
        assert torch.allclose(some[:, place], whole[:, index], atol=1e-9)
    assert torch.allclose(part.landmarks(some), head.landmarks(whole), atol=1e-9)


def test_only_triangles_with_all_corners_stay() -> None:
    head = procedural_head()
    part = restricted(head, head.faces[:50].unique())
    corners = {tuple(sorted(map(tuple, triangle.tolist()))) for triangle in head.template[head.faces]}
    assert {tuple(sorted(map(tuple, triangle.tolist()))) for triangle in part.template[part.faces]} <= corners
