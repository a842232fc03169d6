"""What people's votes say about generated images: error rates and preferences, with bootstrap intervals.

HYPE-infinity of Zhou et al. 2019, "HYPE: A Benchmark for Human eYe Perceptual Evaluation of Generative Models",
arXiv:1904.01121: people look at real and generated images, as many of each, without a limit of time, and say of each
whether it is real. The score of a model is the share of images that they get wrong: 50 % means that generated images
cannot be told from real ones, more that they look more real than real ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.evaluation.bootstrap import Interval, bootstrap

REAL = -1  # the source of a real image


class Study(NamedTuple):
    """The identities of the pictures on a page; the page itself does not contain them.

    Attributes:
        page: its id.
        runs: names of the runs.
        real: the real images in words.
        quiz: the source of each picture of the quiz: the number of a run, or `REAL`.
        pairs: the numbers of the two runs of each pair, first and second.
    """

    page: str
    runs: tuple[str, ...]
    real: str
    quiz: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


class Votes(NamedTuple):
    """The answers of one person.

    Attributes:
        rater: an id of the person's session.
        quiz: whether each picture looked real, by its number.
        pairs: which of each pair looked more real, 0 or 1, by its number.
    """

    rater: str
    quiz: Mapping[int, bool]
    pairs: Mapping[int, int]


class Rate(NamedTuple):
    """A share of answers.

    Attributes:
        value: from 0 to 1.
        interval: 95 % of the bootstrap resamples.
        raters: how many people gave answers.
        answers: how many answers they gave.
    """

    value: float
    interval: Interval
    raters: int
    answers: int


class Results(NamedTuple):
    """The rates of a study; None if nobody gave an answer.

    Attributes:
        scores: HYPE-infinity of each run: the mean of the error rates on its images and on real ones.
        fooled: for each run, the share of its images that were taken for real.
        doubted: the share of real images that were taken for generated.
        preferred: (i, j) -> the share of pairs of the runs i < j in which the image of i looked more real.
    """

    scores: tuple[Rate | None, ...]
    fooled: tuple[Rate | None, ...]
    doubted: Rate | None
    preferred: dict[tuple[int, int], Rate | None]


def results(study: Study, votes: Sequence[Votes]) -> Results:
    """The rates of a study's votes, one entry of `votes` for each person."""

    def wrong(of: Votes, source: int) -> np.ndarray:
        return np.array([said != (source == REAL) for item, said in of.quiz.items() if study.quiz[item] == source])

    def chosen(of: Votes, run: int, other: int) -> Iterator[bool]:
        for item, choice in of.pairs.items():
            if set(study.pairs[item]) == {run, other}:
                yield study.pairs[item][choice] == run

    runs = range(len(study.runs))
    fooled = [[(wrong(one, run),) for one in votes] for run in runs]
    scores = [[(wrong(one, run), wrong(one, REAL)) for one in votes] for run in runs]
    compared = sorted({tuple(sorted(pair)) for pair in study.pairs})
    return Results(
        tuple(map(rate, scores)),
        tuple(map(rate, fooled)),
        rate([(wrong(one, REAL),) for one in votes]),
        {pair: rate([(np.array([*chosen(one, *pair)]),) for one in votes]) for pair in compared},
    )


def rate(raters: Sequence[Sequence[ArrayLike]], *, resamples: int = 1000, seed: int = 0) -> Rate | None:
    """The mean over people of the mean over kinds of images of the share of their answers that are 1.

    A resample draws people with replacement, and then the answers of each; so the interval of one person's answers
    covers these alone.

    Args:
        raters: for each person, for each kind of images the answers, 0 or 1. Who has none of a kind is left out.
        resamples: number of resamples of the bootstrap.
        seed: seed of the resamples.

    Returns:
        None if nobody has answers of all kinds.
    """
    whole = [[np.asarray(kind, float) for kind in kinds] for kinds in raters if all(map(len, kinds))]
    if not whole:
        return None
    rng = np.random.default_rng((seed, 1))

    def mean(people: ArrayLike) -> float:
        return float(np.mean([np.mean([rng.choice(kind, len(kind)).mean() for kind in whole[i]]) for i in people]))

    value = float(np.mean([np.mean([kind.mean() for kind in kinds]) for kinds in whole]))
    interval = bootstrap(mean, np.arange(len(whole)), resamples=resamples, seed=seed)
    return Rate(value, interval, len(whole), sum(len(kind) for kinds in whole for kind in kinds))
