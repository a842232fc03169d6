"""What tests of pages share: directories of runs that nobody trained, HTML as a tree, and a browser."""

import html.parser
import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.records import report
from gan_jax.records.metrics import MetricsFile

ROOT = pathlib.Path(__file__).parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'google-chrome', 'chromium-browser'))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason='there is no Chromium')
VOID = ('meta', 'link', 'img', 'input')


def make_run(path, steps=(10, 20, 30), overrides=(), metrics=lambda step: {}, shape=(8, 8, 1)):
    """The directory of a run of batches of 100, with a picture of one grey and a record at each of the steps."""
    config = configs.load(str(ROOT / 'configs' / 'mlp.py'), ['duration=30', 'batch_size=100', *overrides])
    facts = {
        'data': {
            'name': config.data.name,
            'split': 'train',
            'examples': 1500,
            'shape': list(shape),
            'classes': 10,
            'fingerprint': 'f46f04ab99',
        },
        'devices': {'kind': 'abacus', 'number': 2, 'mode': 'pmap'},
        'networks': {
            'generator': {'parameters': 1234567, 'shapes': {'Dense_0/kernel': '100x256'}},
            'discriminator': {'parameters': 89, 'shapes': {'Dense_0/bias': '1'}},
        },
        'versions': {'jax': '0.0.1'},
    }
    path.mkdir(parents=True)
    (path / 'config.json').write_text(json.dumps(json_values.to_json(config)))
    (path / 'run.json').write_text(json.dumps(facts))
    for step in steps:
        values = {'generator/loss': step / 10, 'discriminator/loss': 0.5, 'generator/gradient_norm': 10.0 * step}
        MetricsFile(path / 'metrics.jsonl').write(step, step / 10, values | metrics(step))
        report.save_png(path / 'samples' / f'{step:08d}.png', np.full((60, 60, 1), step, np.uint8))
    return path


class Tree(html.parser.HTMLParser):
    """The tags of a page: (name, attributes, text right inside)."""

    def __init__(self, page):
        super().__init__()
        self.tags, self._open = [], []
        self.feed(page)
        assert not self._open, f'{self._open[-1][0]} is not closed'

    def handle_starttag(self, name, attributes):
        self.tags.append([name, dict(attributes), ''])
        if name not in VOID:
            self._open.append(self.tags[-1])

    def handle_endtag(self, name):
        assert self._open.pop()[0] == name

    def handle_data(self, text):
        if self._open:
            self._open[-1][2] += text

    def texts(self, name):
        return [text for tag, _, text in self.tags if tag == name]

    def all(self, name):
        return [attributes for tag, attributes, _ in self.tags if tag == name]

    def charts(self):
        (data,) = (text for tag, attributes, text in self.tags if attributes.get('id') == 'charts')
        return json.loads(data)


_COLLECT = """<script>
const errors = [];
window.addEventListener('error', (event) => errors.push(event.message));
console.error = console.warn = (...texts) => errors.push(texts.join(' '));
</script>"""
_REPORT = """<script>
setTimeout(async () => {
  const told = {};
  try { await (async (told, pause) => { %s })(told, (ms) => new Promise((done) => setTimeout(done, ms))); }
  catch (error) { errors.push(String(error)); }
  const place = document.createElement('pre');
  place.id = 'told';
  place.textContent = JSON.stringify({ ...told, errors });
  document.body.append(place);
}, 100);
</script></body>"""


def in_browser(page, directory, script, width=1400):
    """Opens a page and runs a script that puts what it sees into `told`; returns that, with the console's errors."""
    path = directory / 'in_browser.html'
    path.write_text(reporting(page, script))
    return visit(path.as_uri(), directory, width)


def reporting(page, script):
    """The page with a script that reports to `visit`."""
    return page.replace('<head>', '<head>' + _COLLECT, 1).replace('</body>', _REPORT % script)


def visit(url, directory, width=1400):
    """Opens a page that is `reporting`, perhaps that of a server; returns what it reports."""
    options = ['--headless', '--no-sandbox', '--disable-gpu', f'--window-size={width},1000', '--dump-dom']
    options += ['--virtual-time-budget=10000', f'--user-data-dir={directory / "profile"}', url]
    done = subprocess.run([CHROMIUM, *options], capture_output=True, text=True, timeout=120, check=False)
    assert '<pre id="told">' in done.stdout, done.stderr
    return json.loads(html.unescape(done.stdout.split('<pre id="told">')[1].split('</pre>')[0]))


# Hands on the first chart; a place is its share of the width.
HANDS = """
const over = document.querySelector('.u-over');
const box = over.getBoundingClientRect();
const mouse = (type, share, where = over) => where.dispatchEvent(new MouseEvent(type, {
  clientX: box.left + share * box.width, clientY: box.top + 20, movementX: 1, bubbles: true, button: 0 }));
const drag = async (from, to) => {
  for (const step of [['mousemove', from], ['mousedown', from], ['mousemove', to], ['mouseup', to, document]]) {
    mouse(...step);
    await pause(50);
  }
};
const scales = () => [...document.querySelectorAll('[data-chart]')].map((place) => place.plot.scales.x);
const ranges = () => scales().map(({ min, max }) => [min, max]);
"""
