"""What `python -m harness new NAME` writes: an adapter that runs at once, to be filled in."""
