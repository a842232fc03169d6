"""Pictures, table and page of the mode-collapse experiment, from made-up arrays."""

import base64
import html.parser
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from experiments.mode_collapse import pictures
from gan_jax.data.toys import MIXTURES
from gan_jax.records.report import save_animation
from gan_jax.sampling.plane import landscape_grid

CENTRES = MIXTURES['ring'].centres
ROSE, BLUE = (244, 182, 166), (169, 203, 232)
RESULTS = {
    'plain & simple': {'modes': [1, 2, 3], 'reverse KL': [2.0, math.inf, 1.0]},
    'R1': {'modes': [8, 8, 8], 'reverse KL': [0.01, 0.02, 0.03]},
    'diverged': {'modes': [0, 0, 0], 'reverse KL': [math.inf] * 3},
    'one seed': {'modes': [7]},
}


def pixel(frame, x, y, limit=1.5):
    """The axes of a frame are 441.6 pixels wide and high, 9.2 from the left and 32.5 from below."""
    return frame[round(500 - 32.5 - 441.6 * (y + limit) / (2 * limit)), round(9.2 + 441.6 * (x + limit) / (2 * limit))]


def test_landscape_is_drawn_where_it_was_asked_for():
    x, y = landscape_grid(1.5, 40).T
    logits = np.where(x + 3 * y > 0, 9.0, -9.0).reshape(40, 40)  # real above a line that rises to the left
    frame = pictures.density_frame(np.full((3, 2), 9.0), logits, 1.5, 'half', CENTRES)
    assert (frame.shape, frame.dtype) == ((500, 460, 3), np.uint8)
    for place, color in (((1.2, 0.3), BLUE), ((-1.2, 0.9), BLUE), ((1.2, -0.9), ROSE), ((-1.2, -0.3), ROSE)):
        np.testing.assert_allclose(pixel(frame, *place), color, atol=2)
    even = pictures.density_frame(np.full((3, 2), 9.0), np.zeros((40, 40)), 1.5, 'even', CENTRES)
    assert pixel(even, 0.4, 0.4).min() > 240


def test_points_darken_and_glow_where_they_crowd():
    points = np.concatenate([np.tile([0.0, 0.0], (90, 1)), np.tile([0.5, -0.5], (10, 1)), [[np.nan, 0], [9, 9]]])
    frame = pictures.density_frame(points, None, 1.5, 'crowd', CENTRES).astype(int)
    assert pixel(frame, 0, 0).sum() < 200
    many, few, none = (pixel(frame, x, y).sum() for x, y in ((0.04, 0), (0.54, -0.5), (0.54, 0.5)))
    assert many < few < none == 3 * 255


def test_median_seed():
    assert pictures.median_seed([5, 1, 3]) == 2
    assert pictures.median_seed([4, 2, 1, 3]) == 1  # of four, the lower middle one
    assert pictures.median_seed([8, 8, 8, 8, 8]) == 2


def test_overview_has_a_panel_a_recipe_and_one_of_the_data():
    samples = dict.fromkeys(('a', 'b', 'c', 'd'), CENTRES[:3])
    image = pictures.overview(samples, CENTRES, 1.5, CENTRES, {'a': '3 of 8'}, columns=3)
    assert (image.shape, image.dtype) == ((530, 690, 3), np.uint8)
    ink = image[:265, :690].sum(-1)
    assert (ink[:, 230:460] < 600).any()
    assert (image[265 + 10 :, 460 + 10 :] == 255).all()  # the sixth place is empty


class Tags(html.parser.HTMLParser):
    """Checks that tags close in order, and keeps the sources of images."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == 'img':
            self.sources.append(dict(attrs)['src'])
        elif tag not in ('meta', 'link'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path):
    frame = pictures.density_frame(CENTRES, None, 1.5, 'x', CENTRES)
    save_animation(tmp_path / 'a.gif', [frame, 255 - frame])
    study = pictures.Study(
        title='Ring of eight',
        protocol='8 modes, 2500 samples',
        results=RESULTS,
        findings='First. Second <b>.',
        overview=frame,
        animations={'R1': (tmp_path / 'a.gif', 'all modes')},
    )
    return pictures.page('Mode collapse', 'Who loses modes?', [study])


def test_page_is_well_formed_and_holds_its_pictures(page):
    tags = Tags(page)
    assert tags.open == []
    kinds = []
    for source in tags.sources:
        data = base64.b64decode(source.partition('base64,')[2], validate=True)
        with Image.open(io.BytesIO(data)) as image:
            kinds.append((image.format, getattr(image, 'n_frames', 1)))
    assert kinds == [('WEBP', 1), ('GIF', 2)]
    assert not re.search(r'https?:|\bsrc="(?!data:)|\bhref="(?!data:)', page)


def test_page_says_what_it_was_given_and_escapes_it(page):
    assert '<h1>Mode collapse</h1>' in page
    assert '<p>Who loses modes?</p>' in page
    assert '<p>First. Second &lt;b&gt;.</p>' in page
    assert '<td>plain &amp; simple</td><td>2.0 ± 1.0</td><td>1.50 ± 0.71 (2 of 3 seeds)</td>' in page
    assert '<figcaption>R1: all modes</figcaption>' in page
