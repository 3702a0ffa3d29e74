"""PaCo-FR (arXiv 2508.09691)."""
