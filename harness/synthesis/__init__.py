"""Random subjects, light and cameras -> images with exact truth."""
