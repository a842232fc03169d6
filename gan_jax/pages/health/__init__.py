"""What a doctor would say of a run: findings in words, each with its evidence and the usual remedies.

A finding is a function of a `Run`, of what a run's directory holds, and says nothing where all is well. Most compare a
window at the end of the run (the last tenth of its records, at least five) with what came before, so that the storms of
the first steps are not reported. Numbers are judged only where the loss gives them a meaning: a Wasserstein critic has
no probabilities.
"""

from gan_jax.pages.health.course import Finding, Run
from gan_jax.pages.health.reading import read
from gan_jax.pages.health.verdict import findings, judge

__all__ = ['Finding', 'Run', 'findings', 'judge', 'read']
