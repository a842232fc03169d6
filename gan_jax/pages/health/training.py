"""Findings about training: values that are not finite, gradients, the balance of the players."""

import numpy as np

from gan_jax.config import json_values
from gan_jax.pages.health.course import (
    PROBABILISTIC,
    SIGNED,
    Course,
    Finding,
    advice,
    against_saturation,
    series_of,
    slower,
    window_of,
)

SATURATED_ACCURACY = 0.99  # of a batch of 64 with its fakes, one example is judged wrongly: no lesson left to learn
SATURATED_PROBABILITY = 0.02  # D(fake) above its label: log(1 - D) then has under 2 % of its largest gradient
AT_CHANCE = (0.4, 0.6)  # accuracies that are guesses: the end of a game, where small gradients are right
VANISHED = 0.01  # of the earlier gradient: no learning rate schedule asks for that, and Adam's memory is long past
VANISHED_BESIDE = 1e-4  # of the discriminator's gradient: healthy games here lie between 0.05 and 10
NEGLIGIBLE = 1e-7  # of the parameters' norm: less than float32 can add to them
FOOLED_ACCURACY = 0.35  # far below a guess's 0.5: most opinions are wrong
FOOLED_PROBABILITY = 0.8  # D(fake): the discriminator takes most samples for real
SWING = 0.2  # of accuracy between its 10 % and 90 % quantiles, or that share of a loss's median
CORRELATION = 0.5  # of a curve with itself a period later; noise of the shortest series stays below 0.4
FEWEST_FOR_PERIODS = 40  # records, of which a period takes less than a third
SHORTEST_PERIOD = 4  # records
EXPLODED = 100.0  # times the earlier gradient: games that train well stay within a factor of 10 after their start
ADA_LIMIT = 0.8  # above it augmentations leak into the samples: Karras et al. 2020 (ADA), section 2.2
LIPSCHITZ = 0.25  # of the target squared: gradient norms are off by half of what they should be


def not_finite(run: Course) -> Finding | None:
    """NaN or infinity in the records, or a run that was given up for it."""
    met = [(name, record['step']) for record in run.records for name, value in record.items() if value is None]
    if not met and run.given_up is None:
        return None
    evidence = f'The run was given up: {run.given_up}.'
    if run.given_up is None:
        evidence = f'Values that are not finite: {len(met)}, the first in {met[0][0]} at step {met[0][1]:,}.'
        if all(name.startswith('eval/') for name, _ in met):  # those of training would have stopped the run
            return Finding('not_finite', 'warning', 'An evaluation gave a value that is not finite.', evidence)
    return Finding(
        'not_finite',
        'bad',
        'NaN or infinity occurred: the networks have diverged.',
        evidence,
        advice(
            run,
            'on_nan=restore, to return to the last good checkpoint and continue with other noise; '
            f'{slower(run, "generator")}; {slower(run, "discriminator")}; generator_optimizer.clip_norm=1.0; '
            'discriminator_optimizer.clip_norm=1.0; dtype=float32',
        ),
    )


def gradients_exploded(run: Course) -> Finding | None:
    """Gradients of a player far above the earlier ones of the run."""
    for player in json_values.roles_with_optimizers(run.config):
        window = window_of(run, f'{player}/gradient_norm')
        if window and window.now > EXPLODED * window.earlier > 0:
            return Finding(
                'gradients_exploded',
                'bad',
                f'The gradients of the {player} have exploded.',
                f'Median norm {window.now:.3g} {window.span}, {window.now / window.earlier:,.0f} times the '
                f'{window.earlier:.3g} before.',
                advice(
                    run,
                    f'{slower(run, "discriminator")}; {slower(run, "generator")}; '
                    f'{player}_optimizer.clip_norm=1.0; discriminator.normalization=spectral; '
                    'penalties.r1.weight=1.0',
                ),
            )
    return None


def gradients_vanished(run: Course) -> Finding | None:
    """A generator that has stopped learning before the game has converged."""
    mine, other = (window_of(run, f'{player}/gradient_norm') for player in ('generator', 'discriminator'))
    accuracy = window_of(run, 'discriminator/accuracy') if run.config.loss.name in SIGNED else None
    if mine is None or (accuracy and AT_CHANCE[0] <= accuracy.now <= AT_CHANCE[1]):
        return None
    weights = window_of(run, 'generator/parameter_norm')
    signs = []
    if mine.now < VANISHED * mine.earlier:
        signs.append(f'it was {mine.earlier:.3g} before')
    if other and mine.now < VANISHED_BESIDE * other.now:
        signs.append(f'the norm of the discriminator is {other.now:.3g}')
    if weights and mine.now < NEGLIGIBLE * weights.now:
        signs.append(f'the norm of the weights is {weights.now:.3g}')
    if not signs:
        return None
    return Finding(
        'gradients_vanished',
        'bad',
        'The gradients of the generator have vanished: it has stopped learning.',
        f'Median norm {mine.now:.3g} {mine.span}; {"; ".join(signs)}.',
        advice(
            run,
            f'{against_saturation(run)}{slower(run, "discriminator")}; instance_noise.deviation=0.1; '
            'penalties.r1.weight=1.0; loss.name=wasserstein with penalties.gradient_penalty.weight=10.0',
        ),
    )


def discriminator_saturated(run: Course) -> Finding | None:
    """A discriminator that is always right, if its logits are classifications."""
    loss = run.config.loss
    accuracy = window_of(run, 'discriminator/accuracy')
    if loss.name not in SIGNED or accuracy is None or accuracy.now < SATURATED_ACCURACY:
        return None
    evidence = f'Median accuracy {accuracy.now:.3f}'
    fake = window_of(run, 'discriminator/fake_probability')
    if loss.name in PROBABILISTIC and fake:
        if fake.now > loss.get('fake_label', 0.0) + SATURATED_PROBABILITY:
            return None
        evidence += f' and D(fake) {fake.now:.2g}'
    return Finding(
        'discriminator_saturated',
        'bad' if loss.name == 'minimax' else 'warning',  # only there the generator's gradient goes with D(fake)
        'The discriminator is saturated: it recognises almost all samples, so the generator learns little from it.',
        f'{evidence} {accuracy.span}.',
        advice(
            run,
            f'{against_saturation(run)}{slower(run, "discriminator")}; loss.real_label=0.9; '
            'penalties.r1.weight=1.0; discriminator.normalization=spectral; instance_noise.deviation=0.1; '
            'augment.name=ada for small data sets',
        ),
    )


def generator_won(run: Course) -> Finding | None:
    """A discriminator that classifies samples as real, if its logits are classifications."""
    accuracy, fake = (window_of(run, f'discriminator/{name}') for name in ('accuracy', 'fake_probability'))
    if run.config.loss.name not in SIGNED or accuracy is None or fake is None:
        return None
    if accuracy.now >= FOOLED_ACCURACY and fake.now <= FOOLED_PROBABILITY:
        return None
    return Finding(
        'generator_won',
        'warning',
        'The generator has won: the discriminator classifies most samples as real, so the generator learns little '
        'from it.',
        f'Median D(fake) {fake.now:.2f} and accuracy {accuracy.now:.2f} {fake.span}.',
        advice(
            run,
            f'{slower(run, "generator")}; discriminator_steps=2; a larger discriminator; flip_labels=0.0; '
            'instance_noise.deviation=0.0; generator_steps=1',
        ),
    )


def oscillating(run: Course) -> Finding | None:
    """Players that chase each other: a curve that oscillates.

    Looked at is the accuracy, or the generator's loss where logits are no opinion, without the first quarter of the
    records and without its linear trend.
    """
    signed = run.config.loss.name in SIGNED
    steps, values = series_of(run, 'discriminator/accuracy' if signed else 'generator/loss')
    late = len(values) // 4
    steps, values = steps[late:], values[late:]
    low, high = np.quantile(values, (0.1, 0.9)) if len(values) else (0, 0)
    if len(values) < FEWEST_FOR_PERIODS or high - low < SWING * (1 if signed else abs(np.median(values))):
        return None
    period = find_period(values)
    if period is None:
        return None
    taken = (steps[-1] - steps[0]) / (len(steps) - 1)
    return Finding(
        'oscillating',
        'warning',
        'The players oscillate: each is ahead in turn, and training may circle around the solution.',
        f'{"Accuracy" if signed else "Loss of the generator"} oscillates between {low:.3g} and {high:.3g} about '
        f'every {period * taken:,.0f} steps (steps {steps[0]:,} to {steps[-1]:,}).',
        advice(
            run,
            'penalties.r1.weight=1.0; generator_optimizer.b1=0.0; discriminator_optimizer.b1=0.0; '
            f'{slower(run, "generator")}; {slower(run, "discriminator")}; unrolled_steps=5',
        ),
    )


def find_period(values: np.ndarray) -> int | None:
    """The period, in places, of values [n] that come again and again; None if they do not.

    It is the lag of the highest autocorrelation behind the first negative ones.
    """
    places = np.arange(len(values))
    values = values - np.polyval(np.polyfit(places, values, 1), places)
    correlations = np.correlate(values, values, 'full')[len(values) - 1 :] / max((values**2).sum(), 1e-30)
    correlations = correlations[: len(values) // 3 + 1]
    negative = np.flatnonzero(correlations < 0)
    if not len(negative):
        return None
    period = negative[0] + int(np.argmax(correlations[negative[0] :]))
    is_peak = SHORTEST_PERIOD <= period < len(correlations) - 1
    return period if is_peak and correlations[period] > CORRELATION else None


def lipschitz_missed(run: Course) -> Finding | None:
    """A gradient penalty that does not hold the gradients' norms at their target."""
    penalty, window = run.config.penalties.gradient_penalty, window_of(run, 'discriminator/gradient_penalty')
    if window is None or window.now <= LIPSCHITZ * penalty.target**2 or not penalty.target:
        return None
    return Finding(
        'lipschitz_missed',
        'warning',
        'The gradient penalty is not satisfied: the gradient norms of the critic are far from their target.',
        f'Between real and fake examples, gradient norms deviate from their target {penalty.target:g} by '
        f'{window.now**0.5:.3g} (root mean square) {window.span}.',
        advice(
            run,
            f'penalties.gradient_penalty.weight={max(10.0, 10 * penalty.weight)}; {slower(run, "discriminator")}; '
            'discriminator_steps=5; discriminator.normalization=layer',
        ),
    )


def augmentation_at_limit(run: Course) -> Finding | None:
    """Adaptive augmentation that is as strong as is safe and still asked for more."""
    window = window_of(run, 'discriminator/augmentation')
    if window is None or window.now < ADA_LIMIT:
        return None
    return Finding(
        'augmentation_at_limit',
        'warning',
        'Adaptive augmentation is at its limit: the discriminator still overfits, and augmentations may appear '
        'in the samples.',
        f'Median p {window.now:.2f} {window.span}; up to {ADA_LIMIT:g} is considered safe.',
        advice(
            run,
            'more data; data.flip=True if mirrored images are realistic; penalties.r1.weight=10.0; '
            'a smaller discriminator; the best checkpoint instead of the last',
        ),
    )
