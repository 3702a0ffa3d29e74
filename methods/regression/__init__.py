"""What the regressors of FLAME share: crops, codes, decoding, losses."""
