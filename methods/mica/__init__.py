"""MICA (Zielonka et al., ECCV 2022)."""
