"""Linear head models."""
