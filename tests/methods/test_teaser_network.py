"""TEASER by its published numbers and a slow twin of its generator; there are no outputs of the published code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.methods.networks.adain import TokenGeneratorSizes, TokenUNet
from harness.methods.networks.mobilenet import MobileNetSizes
from harness.methods.smirk.network import PAPER as SMIRK
from harness.methods.smirk.network import Smirk
from harness.methods.teaser.network import MINI, PAPER, Teaser, TokenEncoder

SIZES = TokenGeneratorSizes(image=32, width=4, residual=2, token=6, hidden=5)


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        net = Teaser(PAPER, generator=True)
    assert net.teaser_generator is not None
    assert _count(net.teaser_encoder) == 4_586_889 and _count(net.teaser_encoder.token_encoder) == 986_968
    assert _count(net.teaser_generator) == 85_224_355


def test_published_names_and_shapes() -> None:
    with torch.device("meta"):
        state = {key: tuple(value.shape) for key, value in Teaser(PAPER, generator=True).state_dict().items()}
        smirk = {key: tuple(value.shape) for key, value in Smirk(SMIRK).state_dict().items()}
    theirs = {key.replace("smirk_encoder.", "teaser_encoder."): shape for key, shape in smirk.items()}
    assert theirs.items() <= state.items()
    tokens = "teaser_encoder.token_encoder."
    expected = {f"{tokens}token_layers.{i}.0.weight": (256, n) for i, n in enumerate((576, 192, 384, 1024))}
    expected |= {
        f"{tokens}encoder.conv_stem.weight": (16, 3, 3, 3),
        "teaser_generator.encoder1.conv1.weight": (32, 6, 3, 3),
        "teaser_generator.encoder1.norm1.running_var": (32,),
        "teaser_generator.encoder1.adain1.mlp_shared.0.weight": (128, 256),
        "teaser_generator.encoder1.adain1.mlp_gamma.weight": (32, 128),
        "teaser_generator.bottleneck.adain2.mlp_beta.weight": (512, 128),
        "teaser_generator.token_decoder.decoder_1.0.weight": (50176, 1024),
        "teaser_generator.token_decoder.decoder_1.3.weight": (256, 256, 3, 3),
        "teaser_generator.token_decoder.decoder_1.4.weight": (256,),
        "teaser_generator.token_decoder.decoder_2.1.weight": (128, 256, 3, 3),
        "teaser_generator.token_decoder.decoder_4.4.weight": (32, 32, 3, 3),
        "teaser_generator.token_zero_conv_4.weight": (256, 256, 1, 1),
        "teaser_generator.token_zero_conv_1.weight": (32, 32, 1, 1),
        "teaser_generator.resnet_blocks.4.conv_block.5.weight": (512, 512, 3, 3),
        "teaser_generator.upconv1.weight": (64, 32, 2, 2),
        "teaser_generator.conv.weight": (3, 32, 1, 1),
    }
    assert expected.items() <= state.items()


@pytest.mark.parametrize("size", [64, 96])
def test_tokens_come_from_the_coarsest_map_first(size: int) -> None:
    torch.manual_seed(0)
    backbone = MobileNetSizes("small", width=0.5)
    net = TokenEncoder(backbone, 7).eval()
    crops = torch.rand(2, 3, size, size)
    maps = net.encoder(crops)
    assert [m.shape[1] for m in maps] == list(backbone.maps)
    assert [m.shape[2] for m in maps] == [size // stride for stride in (2, 4, 8, 16, 32)]
    tokens = net(crops)
    for i, (grid, level) in enumerate(((1, 4), (2, 3), (4, 2), (8, 1))):
        cells = functional.adaptive_avg_pool2d(maps[level], grid)
        layer = net.token_layers[i][0]  # type: ignore[index]
        assert torch.allclose(tokens[:, i], cells.reshape(2, -1) @ layer.weight.T + layer.bias, atol=1e-5)


def _normalised(x: Tensor, dims: tuple[int, ...], mean: Tensor | None = None, var: Tensor | None = None) -> Tensor:
    mean = x.mean(dims, keepdim=True) if mean is None else mean
    var = (x - mean).square().mean(dims, keepdim=True) if var is None else var
    return (x - mean) / (var + 1e-5).sqrt()


class _Twin:
    """The generator written out from the specification, on the state dict, in float64."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.w = {key: value.double() for key, value in state.items()}

    def linear(self, key: str, x: Tensor) -> Tensor:
        return x @ self.w[f"{key}.weight"].T + self.w[f"{key}.bias"]

    def conv(self, key: str, x: Tensor, padding: int = 1) -> Tensor:
        return functional.conv2d(x, self.w[f"{key}.weight"], self.w.get(f"{key}.bias"), padding=padding)

    def norm(self, key: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (
            self.w[f"{key}.{n}"][:, None, None] for n in ("running_mean", "running_var", "weight", "bias")
        )
        return _normalised(x, (0, 2, 3), mean, var) * weight + bias

    def adain(self, key: str, x: Tensor, token: Tensor) -> Tensor:
        shared = self.linear(f"{key}.mlp_shared.0", token).clamp_min(0)
        gamma, beta = (self.linear(f"{key}.mlp_{n}", shared)[:, :, None, None] for n in ("gamma", "beta"))
        return _normalised(x, (2, 3)) * (1 + gamma) + beta

    def block(self, key: str, x: Tensor, token: Tensor) -> Tensor:
        for i in (1, 2):
            x = self.norm(f"{key}.norm{i}", self.conv(f"{key}.conv{i}", x))
            x = self.adain(f"{key}.adain{i}", x, token).clamp_min(0)
        return x

    def residual(self, key: str, x: Tensor) -> Tensor:
        y = self.conv(f"{key}.1", functional.pad(x, (1, 1, 1, 1), "reflect"), 0)
        y = functional.pad(self.norm(f"{key}.2", y).clamp_min(0), (1, 1, 1, 1), "reflect")
        return x + self.norm(f"{key}.6", self.conv(f"{key}.5", y, 0))

    def up(self, key: str, x: Tensor) -> Tensor:
        return functional.conv_transpose2d(x, self.w[f"{key}.weight"], self.w[f"{key}.bias"], stride=2)

    def drawn(self, tokens: Tensor) -> list[Tensor]:
        every = torch.cat([tokens[:, 3], tokens[:, 2], tokens[:, 1], tokens[:, 0]], dim=1)
        x = self.linear("token_decoder.decoder_1.0", every).reshape(len(tokens), 8 * SIZES.width, 2, 2)
        maps = []
        for i, first in ((1, 3), (2, 1), (3, 1), (4, 1)):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
            key = f"token_decoder.decoder_{i}"
            x = self.norm(f"{key}.{first + 1}", self.conv(f"{key}.{first}", x)).clamp_min(0)
            maps.append(x if i < 4 else self.conv(f"{key}.4", x).tanh())
        return maps

    def __call__(self, rendered: Tensor, masked: Tensor, tokens: Tensor) -> Tensor:
        pool = torch.nn.MaxPool2d(2)
        e1 = self.block("encoder1", torch.cat([rendered, masked], 1), tokens[:, 3])
        e2 = self.block("encoder2", pool(e1), tokens[:, 2])
        e3 = self.block("encoder3", pool(e2), tokens[:, 1])
        e4 = self.block("encoder4", pool(e3), tokens[:, 0])
        x = self.block("bottleneck", pool(e4), tokens[:, 0])
        for i in range(SIZES.residual):
            x = self.residual(f"resnet_blocks.{i}.conv_block", x)
        for k, skip, extra, token in zip((4, 3, 2, 1), (e4, e3, e2, e1), self.drawn(tokens), (0, 1, 2, 3), strict=True):
            x = self.block(f"decoder{k}", torch.cat([self.up(f"upconv{k}", x), skip], 1), tokens[:, token])
            x = x + self.conv(f"token_zero_conv_{k}", extra, 0)
        return self.conv("conv", x, 0).sigmoid()


def test_generator_is_what_the_specification_says() -> None:
    generator = torch.Generator().manual_seed(0)
    net = TokenUNet(SIZES).double().eval()
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                noise = 0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
                value.copy_(1 + noise.abs() if key.endswith("running_var") else noise)
    rendered, masked = torch.rand(2, 2, 3, 32, 32, generator=generator, dtype=torch.float64)
    tokens = torch.randn(2, 4, SIZES.token, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        ours, twin = net(rendered, masked, tokens), _Twin(net.state_dict())(rendered, masked, tokens)
    assert ours.std() > 0.01
    assert (ours - twin).abs().max() < 1e-10


def test_tokens_drawn_are_not_added_before_training() -> None:
    torch.manual_seed(0)
    net = TokenUNet(SIZES).eval()
    rendered, masked = torch.rand(2, 1, 3, 32, 32)
    tokens = torch.randn(1, 4, SIZES.token)
    before = net(rendered, masked, tokens)
    torch.nn.init.normal_(net.token_decoder.decoder_1[0].weight)
    assert torch.equal(before, net(rendered, masked, tokens))


def test_mini_reads_everything_and_is_small() -> None:
    torch.manual_seed(0)
    net = Teaser(MINI)
    codes = net(torch.rand(2, 3, 96, 96))
    assert codes.tokens is not None and codes.tokens.shape == (2, 4, MINI.generator.token)
    assert codes.shape.shape == (2, 82) and codes.eyelids is not None
    assert _count(net) <= 3_500_000
    generator = TokenUNet(MINI.generator)
    assert _count(generator) <= 2_000_000
    assert generator(*torch.rand(2, 2, 3, 96, 96), codes.tokens).shape == (2, 3, 96, 96)
