"""Whether a file of weights is the one that others have published, which every protocol says."""

import hashlib
import os

from gan_jax.errors import UserError

PUBLISHED, UNVERIFIED = 'published', 'unverified'


def verify(path: str | os.PathLike, sha256: str | None, what: str, unverified: bool) -> str:
    """Compares a file with the published one.

    Args:
        path: the file.
        sha256: SHA-256 of the published file, in hexadecimal; None where none is known that can be trusted.
        what: the published file holds, for the error: "Inception's weights".
        unverified: whether another file is taken too.

    Returns:
        What protocols call these weights: 'published', or 'unverified' for another file.

    Raises:
        UserError: it cannot be read, or is another file, and such are not taken.
    """
    try:
        with open(path, 'rb') as file:
            found = hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror or error}).') from error
    if found == sha256:
        return PUBLISHED
    if unverified:
        return UNVERIFIED
    known = (
        f'but the published file has {sha256}'
        if sha256
        else 'and no SHA-256 of a published file is known for this format'
    )
    raise UserError(
        f'{path} is not known to contain {what}: its SHA-256 is {found}, {known}; download the published file, or '
        'accept this one by --unverified, which every protocol will state.'
    )


def recorded(source: object) -> str:
    """What a file of gan_jax's own says of its weights: 'published', or 'unverified' where it says anything else."""
    return PUBLISHED if str(source) == PUBLISHED else UNVERIFIED
