"""FaRL (Zheng et al., CVPR 2022)."""
