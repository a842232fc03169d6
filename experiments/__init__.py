"""Experiments in the manner of papers, one folder each: what is compared, the runs, the table and the pictures."""
