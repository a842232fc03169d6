"""Evaluation of the quality and diversity of a generator's samples, one file per metric."""
