"""TEASER (Liu et al., ICLR 2025)."""
