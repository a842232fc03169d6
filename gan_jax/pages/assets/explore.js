// The sliders of a generator. The picture comes from the server of `tools.explore`, or from a sheet in the page.
'use strict';
(() => {
  const about = JSON.parse(document.getElementById('explore').textContent);
  const sheet = document.querySelector('.sheet img');
  const form = document.querySelector('.sliders');
  const canvas = document.querySelector('.stage canvas');
  const status = document.querySelector('.stage figcaption');
  const command = document.querySelector('.command code');
  const play = document.querySelector('[data-do=play]');
  const value = (name) => form.elements[name]?.value;
  const set = (name, text) => { if (form.elements[name]) form.elements[name].value = text; };
  const moves = () => about.directions.map((_, i) => Number(value(`move${i}`)));

  // What differs from the neutral place of each slider, under the names that the command and the server know.
  function chosen() {
    const walks = Number(value('walk')) > 0;
    const end = value('to_class') ?? value('class');
    const along = moves();
    while (along.length && along.at(-1) === 0) along.pop();
    const given = { seed: value('seed') };
    if (walks) Object.assign(given, { to: value('to'), walk: value('walk') });
    if (about.classes) given.class = value('class');
    if (walks && end !== value('class')) given.to_class = end;
    if (Number(value('psi')) !== 1) given.psi = value('psi');
    if (about.layers && value('layers') !== 'all' && (walks || along.length)) given.layers = value('layers');
    if (along.length) given.moves = along.join(',');
    return given;
  }

  function inShell(name, text) {
    const title = name.endsWith('class') ? about.classes[text] : text;
    return `--${name}=${/^[\w.,/-]+$/.test(title) ? title : `'${title.replaceAll("'", `'\\''`)}'`}`;
  }

  function tell() {
    for (const output of form.querySelectorAll('output')) output.textContent = value(output.dataset.of);
    const flags = Object.entries(chosen()).map(([name, text]) => inShell(name, text));
    command.textContent = [about.command, ...flags, '--picture=picture.png'].join(' ');
  }

  function draw(given, image, x, y, width, height) {
    Object.assign(canvas, { width, height });
    canvas.style.imageRendering = width < 128 ? 'pixelated' : 'auto';
    canvas.getContext('2d').drawImage(image, x, y, width, height, 0, 0, width, height);
    canvas.dataset.shows = JSON.stringify(given);
  }

  let busy = false;
  let again = false;
  async function ask() {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      const given = chosen();
      const answer = await fetch(`picture?${new URLSearchParams(given)}`);
      if (!answer.ok) throw new Error(await answer.text());
      const image = await createImageBitmap(await answer.blob());
      draw(given, image, 0, 0, image.width, image.height);
      status.textContent = about.caption;
    } catch (error) {
      status.textContent = error instanceof TypeError ? 'The server does not answer. Start the command again.' : error.message;
      pause();
    }
    busy = false;
    if (again) ask();
  }

  // The sheet has one change at a time: all sliders but the last one that was moved go back to their neutral places.
  let moved = 'walk';
  function alone(name) {
    if (/^(walk|to|layers)$/.test(name)) moved = 'walk';
    else if (/^(psi|move\d+)$/.test(name)) moved = name;
    if (moved !== 'walk') set('walk', 0);
    if (moved !== 'walk' && about.layers) set('layers', 'all');
    if (moved !== 'psi') set('psi', 1);
    about.directions.forEach((_, i) => { if (moved !== `move${i}`) set(`move${i}`, 0); });
  }

  function look() {
    const { stops } = about.sheet;
    const stop = (name) => Math.round(Number(value(name)) * stops[name.replace(/\d+$/, '')]);
    let seed = value('seed');
    let change = '';
    if (moved !== 'walk') change = `${moved}=${stop(moved)}`;
    else if (about.layers && value('layers') !== 'all') change = `${value('layers')} to ${value('to')}=${stop('walk')}`;
    else if (stop('walk') === stops.walk) seed = value('to');
    else change = `to ${value('to')}=${stop('walk')}`;
    const nothing = /=0$/.test(change) || change === `psi=${stops.psi}` || (moved === 'walk' && value('to') === seed);
    const key = [value('class') ?? 0, seed, ...(nothing || !change ? [] : [change])].join(' ');
    const i = about.sheet.keys.indexOf(key);
    const [height, width] = about.sheet.size;
    draw(chosen(), sheet, (i % about.sheet.columns) * width, Math.floor(i / about.sheet.columns) * height, width, height);
  }

  function show(name = '') {
    if (name === 'class') set('to_class', value('class'));
    if (about.sheet) alone(name);
    tell();
    if (about.sheet) look();
    else ask();
  }

  function bounded(input) {
    const inside = Math.min(Math.max(Math.round(Number(input.value)) || 0, Number(input.min)), Number(input.max));
    if (String(inside) !== input.value) input.value = inside;
  }

  // A seed that is none of those shown, where there are enough.
  function another(name) {
    const most = Math.min(Number(form.elements[name].max), 999999);
    const next = Math.floor(Math.random() * (most + 1));
    const taken = [value('seed'), value('to')];
    set(name, most > 1 && taken.includes(String(next)) ? (Math.max(...taken.map(Number)) + 1) % (most + 1) : next);
  }

  let timer = null;
  let forward = true;
  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = 'Play';
  }

  // On and on from seed to seed; to and fro where some layers only are walked.
  function advance() {
    const size = about.sheet ? 1 / about.sheet.stops.walk : 0.02;
    const next = Number(value('walk')) + (forward ? size : -size);
    set('walk', Math.min(Math.max(next, 0), 1).toFixed(2));
    show('walk');
    if (next < 1 && next > 0) return;
    forward = next <= 0;
    if (forward || (about.layers && value('layers') !== 'all')) return;
    set('seed', value('to'));
    set('class', value('to_class') ?? value('class'));
    set('walk', 0);
    another('to');
    forward = true;
    show('walk');
  }

  function keep() {
    const values = [...new FormData(form)];
    const button = document.createElement('button');
    const picture = document.createElement('img');
    picture.src = canvas.toDataURL();
    picture.alt = '';
    button.type = 'button';
    button.append(picture, Object.entries(chosen()).map((pair) => pair.join(' ')).join(', '));
    button.addEventListener('click', () => {
      for (const [name, text] of values) set(name, text);
      const change = values.find(([name, text]) => /^move/.test(name) && Number(text));
      show(change?.[0] ?? (Number(value('psi')) === 1 ? 'walk' : 'psi'));
    });
    document.querySelector('.kept').append(button);
    document.querySelector('.keeping').hidden = false;
  }

  const doing = {
    play() {
      if (timer) return pause();
      play.textContent = 'Pause';
      timer = setInterval(advance, about.sheet ? 250 : 80);
    },
    keep,
    seed() { another('seed'); show('seed'); },
    to() { another('to'); show('to'); },
    reset() {
      about.directions.forEach((_, i) => set(`move${i}`, 0));
      set('psi', 1);
      show('walk');
    },
    copy() {
      getSelection().selectAllChildren(command); // where the clipboard is not allowed, the selection can be copied
      navigator.clipboard?.writeText(command.textContent);
    },
  };

  for (const button of document.querySelectorAll('[data-do]')) button.addEventListener('click', doing[button.dataset.do]);
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', (event) => {
    if (event.target.type === 'number') bounded(event.target);
    show(event.target.name);
  });
  for (const [name, text] of Object.entries(about.start)) set(name, text);
  if (sheet && !sheet.complete) sheet.addEventListener('load', () => show());
  else show();
})();
