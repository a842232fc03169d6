"""Classification accuracy score: the accuracy on real images of a classifier trained on generated ones.

Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models", arXiv:1905.10887, section 3.
There a ResNet-50 learns ImageNet from a generator's samples; here it is one of the small classifiers. Compare it with
the score of real training images under the same recipe. A generator scores low both for missing modes and for
wrong classes.
"""

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features import classifier_training
from gan_jax.evaluation.features.classifier_training import Recipe, Report
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial


def classification_accuracy_score(
    fake_images: np.ndarray,
    fake_labels: np.ndarray,
    real_images: np.ndarray,
    real_labels: np.ndarray,
    num_classes: int,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> Estimate:
    """Trains a classifier on generated images and tests it on real ones.

    Args:
        fake_images: uint8 [n, H, W, C], generated.
        fake_labels: int [n] in [0, num_classes), the classes that were asked of the generator.
        real_images: uint8 [m, H, W, C], which the generator was not trained on.
        real_labels: int [m].
        num_classes: number of classes of the data.
        recipe: recipe of the classifier, such as `find_recipe('mnist')`; None: the default `Recipe()`.
        seed: seed of its training.
        report: as in `train_classifier`.

    Returns:
        The accuracy in [0, 1], with the binomial standard error over the m images; without one where it is 0 or 1. The
        error does not include the variation over seeds of the training.

    Raises:
        UserError: the arrays are not labelled images, or generated and real images differ in shape.
    """
    recipe = Recipe() if recipe is None else recipe
    if fake_images.shape[1:] != real_images.shape[1:]:
        raise UserError(
            f'Generated images have shape {list(fake_images.shape[1:])} and real ones '
            f'{list(real_images.shape[1:])}: convert them to the same height, width and channels.'
        )
    classifier_training.check_labelled_images(real_images, real_labels, num_classes)
    options = {'recipe': recipe, 'seed': seed, 'report': report}
    network, variables = classifier_training.fit(fake_images, fake_labels, num_classes, **options)
    score = classifier_training.accuracy(network, variables, real_images, real_labels)
    settings = ', '.join(f'{name} {value}' for name, value in recipe._asdict().items())
    rule = (
        f'classifier ({settings}, seed {seed}) trained on {len(fake_images)} generated images, tested on '
        f'{len(real_images)} real ones, binomial standard error'
    )
    return Estimate(score, binomial(score, len(real_images)), rule)
