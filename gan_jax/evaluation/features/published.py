"""Verifies whether a file of weights is the published one, which every protocol states."""

import hashlib
import os

from gan_jax.errors import UserError

PUBLISHED, UNVERIFIED = 'published', 'unverified'


def verify(path: str | os.PathLike, sha256: str | None, what: str, unverified: bool) -> str:
    """Compares a file with the published one.

    Args:
        path: the file.
        sha256: SHA-256 of the published file, in hexadecimal; None if none is known that can be trusted.
        what: the contents of the published file, for error messages: "Inception's weights".
        unverified: whether another file is accepted too.

    Returns:
        What protocols call these weights: 'published', or 'unverified' for another file.

    Raises:
        UserError: it cannot be read, or is another file, which is not accepted.
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
    """The source of weights recorded in a file of gan_jax: 'published', or 'unverified' for any other entry."""
    return PUBLISHED if str(source) == PUBLISHED else UNVERIFIED
