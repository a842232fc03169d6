"""Evaluation: how good and how varied a generator's samples are, one file a metric."""
