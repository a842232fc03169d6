"""Findings about a run: problems in words, each with its evidence and the usual remedies.

A finding is a function of a run's `Course`, which is read from its directory; it returns None without a problem.
Most compare a window at the end of the run (the last tenth of its records, at least five) with what came before, so
that fluctuations in the first steps are not reported. Numbers are used only if they are meaningful for the loss: a
Wasserstein critic has no probabilities.
"""

from gan_jax.pages.health.course import Course, Finding
from gan_jax.pages.health.reading import read
from gan_jax.pages.health.verdict import assess, findings

__all__ = ['Course', 'Finding', 'assess', 'findings', 'read']
