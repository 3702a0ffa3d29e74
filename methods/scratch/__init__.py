"""The baseline of PaCo-FR's and FaRL's papers: the same networks without pre-training."""
