"""Readers of official data set layouts, and writers of their mirrors."""
