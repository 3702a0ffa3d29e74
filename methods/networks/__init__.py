"""Network parts that several methods use: backbones and generators, without torchvision and timm."""
