// A blind quiz of real and generated images, and choices between two images. Each person gets an order of their own.
'use strict';
(() => {
  const about = JSON.parse(document.getElementById('judge').textContent);
  const sheet = document.querySelector('.sheet');
  const random = (below) => crypto.getRandomValues(new Uint32Array(1))[0] % below;
  const hex = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const votes = { page: about.page, rater: hex, name: '', began: new Date().toISOString(), quiz: [], pairs: [] };
  const screen = (name) => document.querySelector(`[data-screen=${name}]`);

  function shuffled(number) {
    const items = Array.from({ length: number }, (_, i) => i);
    for (let i = number - 1; i > 0; i--) {
      const j = random(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }

  const waiting = { quiz: shuffled(about.quiz), pairs: shuffled(about.pairs) };
  let now = 'start';
  let flipped = false;
  let since = 0;

  function draw(canvas, tile) {
    const [height, width] = about.size;
    const [x, y] = [(tile % about.columns) * width, Math.floor(tile / about.columns) * height];
    Object.assign(canvas, { width, height });
    canvas.style.imageRendering = width < 128 ? 'pixelated' : 'auto';
    canvas.getContext('2d').drawImage(sheet, x, y, width, height, 0, 0, width, height);
  }

  // The next picture or pair; the next screen where there is none.
  function next() {
    if (now === 'start') now = 'quiz';
    if (now === 'quiz' && !waiting.quiz.length) now = 'pairs';
    if (now === 'pairs' && !waiting.pairs.length) return end();
    for (const one of document.querySelectorAll('.screen')) one.hidden = one !== screen(now);
    const [item] = waiting[now];
    const canvases = screen(now).querySelectorAll('canvas');
    if (now === 'quiz') draw(canvases[0], item);
    else {
      flipped = random(2) === 1;
      const tiles = [about.quiz + 2 * item, about.quiz + 2 * item + 1];
      canvases.forEach((canvas, i) => draw(canvas, tiles[flipped ? 1 - i : i]));
    }
    const progress = screen(now).querySelector('progress');
    Object.assign(progress, { max: about[now], value: votes[now].length });
    screen(now).querySelector('.count').textContent = `${votes[now].length + 1} of ${about[now]}`;
    since = performance.now();
  }

  function vote(on, answer) {
    if (now !== on) return;
    const seconds = Math.round((performance.now() - since) / 10) / 100;
    votes[on].push({ item: waiting[on].shift(), answer, seconds });
    next();
  }

  async function end() {
    now = 'end';
    for (const one of document.querySelectorAll('.screen')) one.hidden = one !== screen('end');
    const result = document.querySelector('.result');
    if (!about.served) {
      result.textContent = 'Download the votes and send the file to the person who gave you this page.';
      return;
    }
    try {
      const answer = await fetch('votes', { method: 'POST', body: JSON.stringify(votes) });
      result.textContent = await answer.text();
    } catch {
      result.textContent = 'The votes could not be sent, as the server does not answer. Download them.';
    }
  }

  const choose = (side) => vote('pairs', flipped === (side === 'right') ? 'first' : 'second');
  const doing = {
    async start() {
      await sheet.decode();
      votes.name = document.querySelector('[name=name]').value;
      next();
    },
    real: () => vote('quiz', 'real'),
    generated: () => vote('quiz', 'generated'),
    left: () => choose('left'),
    right: () => choose('right'),
    stop: end,
    download() {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([JSON.stringify(votes, null, 1)], { type: 'application/json' }));
      link.download = `votes-${votes.rater}.json`;
      link.click();
    },
  };
  const keys = { r: doing.real, g: doing.generated, ArrowLeft: doing.left, ArrowRight: doing.right };

  for (const button of document.querySelectorAll('[data-do]')) button.addEventListener('click', doing[button.dataset.do]);
  document.addEventListener('keydown', (event) => {
    if (!event.repeat && !event.ctrlKey && !event.metaKey && now !== 'start') keys[event.key]?.();
  });
  addEventListener('beforeunload', (event) => {
    if (now === 'quiz' || now === 'pairs') event.preventDefault(); // the votes would be lost
  });
  screen('start').hidden = false;
})();
