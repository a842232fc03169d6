"""Classes by name and number."""

import pytest

from gan_jax.errors import UserError
from gan_jax.sampling.wanted_classes import choose_classes, parse_classes

NUMBERED = ('1', '10', '2', '3')  # directories in the order of their names


@pytest.mark.parametrize(
    ('wanted', 'names', 'numbers'),
    [
        (['3', 0, '9'], None, (3, 0, 9)),
        (['Cats', '0', 'big dogs'], ('Big dogs', 'cats'), (1, 0, 0)),
        (['1', '10', '3'], NUMBERED, (0, 1, 3)),
        (['0', 1], NUMBERED, (0, 1)),  # no name, and a number that is no text
        (['A', 'a'], ('A', 'a'), (0, 1)),
        (['STRASSE'], ('Straße', 'weg'), (0,)),
        (['a,b'], ('a', 'a,b'), (1,)),
    ],
)
def test_a_name_wins_then_one_in_another_case_then_a_number(wanted, names, numbers):
    classes = 10 if names is None else len(names)
    assert choose_classes(wanted, classes, names) == numbers


@pytest.mark.parametrize(
    ('wanted', 'names', 'sentence'),
    [
        (['10'], None, r'There is no class 10: classes are numbered from 0 to 9; the nearest is 9\.'),
        (['-1'], None, r'There is no class -1: classes are numbered from 0 to 9; the nearest is 0\.'),
        (
            ['²'],
            None,
            r"There is no class '²', because the classes of this run have no names: give numbers from 0 to 9\.",
        ),
        ([], None, r'No class is named: write --classes 3,5'),
        (['dog'], ('Big dogs', 'cats'), r"There is no class 'dog'; the nearest name is 'Big dogs'\."),
        (
            ['AB'],
            ('Ab', 'aB', 'c'),
            r"The class 'AB' is ambiguous \('Ab' or 'aB'\): write it in its upper and lower case\.",
        ),
    ],
)
def test_what_is_no_class_or_several_is_told_so(wanted, names, sentence):
    with pytest.raises(UserError, match=sentence):
        choose_classes(wanted, 10, names)


def test_a_name_with_a_comma_stands_in_quotes():
    assert parse_classes('3,Ankle boot') == ('3', 'Ankle boot')
    assert parse_classes('"cats, dogs", 3,') == ('cats, dogs', '3')
    assert parse_classes('5" nails,"a ""b"""') == ('5" nails', 'a "b"')
    assert parse_classes('') == ()
