// Films under one slider: every film shows its last frame up to the slider's place, or its first. Other scripts hear of
// the place by the event 'time'.
'use strict';
for (const films of document.querySelectorAll('.films')) {
  const stops = JSON.parse(films.dataset.stops);
  const slider = films.querySelector('input');
  const button = films.querySelector('button');
  let timer = null;

  function show() {
    const now = stops[slider.value];
    for (const film of films.querySelectorAll('.film')) {
      const frames = [...film.querySelectorAll('img')];
      const current = frames.findLast((frame) => Number(frame.dataset.at) <= now) ?? frames[0];
      for (const frame of frames) frame.hidden = frame !== current;
      film.querySelector('figcaption').textContent = current.alt;
    }
    films.dispatchEvent(new CustomEvent('time', { detail: now }));
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    button.textContent = 'Play';
  }

  function advance() {
    slider.value = Number(slider.value) + 1;
    show();
    if (Number(slider.value) === stops.length - 1) pause();
  }

  slider.addEventListener('input', () => {
    pause();
    show();
  });
  button.addEventListener('click', () => {
    if (timer) return pause();
    if (Number(slider.value) === stops.length - 1) slider.value = 0;
    show();
    button.textContent = 'Pause';
    timer = setInterval(advance, 250);
  });
}
