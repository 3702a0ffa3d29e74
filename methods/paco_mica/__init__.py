"""PaCo-FR's encoder beside MICA: expressions for MICA's identities (arXiv 2508.09691, supplement)."""
