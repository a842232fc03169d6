"""Experiments in the style of papers, one folder each: the comparison, its runs, its table and its pictures."""
