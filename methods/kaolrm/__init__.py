"""KaoLRM (3DV 2026): a large reconstruction model whose triplane is read as a FLAME head."""
