"""The baseline that ignores the image."""
