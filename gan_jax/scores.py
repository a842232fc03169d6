"""Single metrics of two sets of images as numbers; `gan_jax.evaluate` has all metrics, with their protocols."""

from gan_jax.errors import UserError
from gan_jax.evaluate import Images, evaluate
from gan_jax.evaluation.features.extractor import Extractor


def fid(real_images: Images, fake_images: Images, *, extractor: str | Extractor = 'auto') -> float:
    """The Fréchet Inception distance of generated images from real ones (Heusel et al. 2017, equation 6).

    Args:
        real_images: uint8 [n, H, W, 1 or 3], at least 2; or a directory, a file or the name of a data set, as in
            `gan_jax.evaluate.evaluate`.
        fake_images: likewise, of the same size.
        extractor: as in `gan_jax.evaluation.features.find.find_extractor`. FIDs of other networks than Inception are
            comparable only with those of the same network.

    Returns:
        The distance, at least 0 up to rounding; lower is better.

    Raises:
        UserError: the images are unfit or too few, or the extractor's weights are missing.
    """
    return _score('fid', real_images, fake_images, extractor)


def kid(real_images: Images, fake_images: Images, *, extractor: str | Extractor = 'auto') -> float:
    """The kernel Inception distance of generated images from real ones (Bińkowski et al. 2018); arguments as in `fid`.

    Returns:
        The mean of the unbiased estimate over subsets, which may be negative; lower is better.

    Raises:
        UserError: as `fid`.
    """
    return _score('kid', real_images, fake_images, extractor)


def _score(metric: str, real_images: Images, fake_images: Images, extractor: str | Extractor) -> float:
    found = evaluate(fake_images, real_images, [metric], extractor=extractor)
    if found.failures:
        raise UserError(found.failures[0].failure)
    return found.values[metric]
