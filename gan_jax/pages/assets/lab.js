// Draws games in the plane at the slider's time, and marks that time in the charts.
'use strict';
(() => {
  const UNIT = 8192; // what 1 is in 16 bits
  const ARROW = 0.16; // half widths of the plane: the arrow of a gradient as long as the run's scale
  const LONGEST = 2; // of an arrow, in such lengths
  const FAKE = [250, 197, 142], EVEN = [247, 247, 247], REAL = [150, 193, 230];
  const runs = JSON.parse(document.getElementById('lab').textContent);
  const films = document.querySelector('.films');
  const boxes = [...document.querySelectorAll('.switches input')];
  const figures = [...document.querySelectorAll('.plane')];
  let now = Infinity;

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const pairs = (text) => {
    const view = new DataView(bytes(text).buffer);
    return Array.from({ length: view.byteLength / 4 }, (_, i) =>
      [view.getInt16(4 * i, true) / UNIT, view.getInt16(4 * i + 2, true) / UNIT]);
  };
  const mix = (level, channel) => {
    const share = level / 127.5 - 1;
    const end = share < 0 ? FAKE : REAL;
    return EVEN[channel] + Math.abs(share) * (end[channel] - EVEN[channel]);
  };
  const number = (value) => String(Number(value.toPrecision(3)));
  const frameOf = (run) => run.frames.findLast((frame) => frame.at <= now) ?? run.frames[0];

  // The landscape as a small picture, made once.
  function pictureOf(frame) {
    if (frame.picture) return frame.picture;
    frame.values = bytes(frame.levels);
    const side = Math.sqrt(frame.values.length);
    const picture = Object.assign(document.createElement('canvas'), { width: side, height: side });
    const context = picture.getContext('2d');
    const image = context.createImageData(side, side);
    frame.values.forEach((level, i) => image.data.set([0, 1, 2].map((channel) => mix(level, channel)).concat(255), 4 * i));
    context.putImageData(image, 0, 0);
    return (frame.picture = picture);
  }

  function draw(figure) {
    const run = runs[figure.dataset.run];
    const frame = frameOf(run);
    const canvas = figure.querySelector('canvas');
    const side = canvas.clientWidth * devicePixelRatio;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext('2d');
    const shown = Object.fromEntries(boxes.map((box) => [box.name, box.checked]));
    const place = ([x, y]) => [(1 + x) * side / 2, (1 - y) * side / 2];
    const size = side / 600;
    context.fillStyle = `rgb(${EVEN})`;
    context.fillRect(0, 0, side, side);
    const picture = pictureOf(frame);
    if (shown.landscape) context.drawImage(picture, 0, 0, side, side);

    const dots = (points, radius, color) => {
      context.fillStyle = color;
      context.strokeStyle = 'rgba(255, 255, 255, 0.8)';
      context.lineWidth = size;
      for (const point of points) {
        context.beginPath();
        context.arc(...place(point), radius * size, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    };
    const samples = pairs(frame.samples);
    if (shown.real) dots(pairs(run.reals[frame.real]), 4.5, '#1f77b4');
    if (shown.pulls) {
      context.fillStyle = 'rgba(60, 20, 80, 0.65)';
      pairs(frame.pulls).forEach(([dx, dy], i) => {
        const length = Math.hypot(dx, dy);
        if (!length) return;
        const factor = ARROW * Math.min(Math.sqrt(length), LONGEST) / length;
        const [x, y] = place(samples[i]);
        const [tipX, tipY] = place([samples[i][0] + factor * dx, samples[i][1] + factor * dy]);
        const [sideX, sideY] = [2.2 * size * dy / length, 2.2 * size * dx / length];
        context.beginPath();
        context.moveTo(x + sideX, y + sideY);
        context.lineTo(tipX, tipY);
        context.lineTo(x - sideX, y - sideY);
        context.fill();
      });
    }
    if (shown.samples) dots(samples, 3.5, 'rgba(255, 127, 14, 0.85)');
    context.fillStyle = '#555';
    context.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    const edge = 4 * devicePixelRatio;
    context.fillText(number(-frame.limit), edge, side - edge);
    context.textAlign = 'right';
    context.fillText(number(frame.limit), side - edge, side - edge);
    context.textAlign = 'left';
    context.fillText(number(frame.limit), edge, edge + 10 * devicePixelRatio);

    figure.querySelector('figcaption').textContent = frame.caption;
    const [low, high] = figure.querySelectorAll('.scale span');
    low.textContent = `${run.what} ${number(frame.low)}`;
    high.textContent = number(frame.high);
  }

  // What the discriminator says where the mouse is.
  function read(figure, event) {
    const run = runs[figure.dataset.run];
    const frame = frameOf(run);
    const box = figure.querySelector('canvas').getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const side = pictureOf(frame).width;
    const cell = (share) => Math.max(0, Math.min(side - 1, Math.floor(share * side)));
    const value = frame.low + frame.values[side * cell(y) + cell(x)] / 255 * (frame.high - frame.low);
    const at = [2 * x - 1, 1 - 2 * y].map((share) => (share * frame.limit).toFixed(2));
    figure.querySelector('p').textContent = `${run.what}(${at.join(', ')}) = ${number(value)}`;
  }

  const plots = [...document.querySelectorAll('[data-chart]')].map((place) => place.plot);
  function mark(plot) {
    const time = Math.min(now, plot.data[0].at(-1));
    plot.marker.style.left = `${plot.valToPos(time, 'x')}px`;
  }
  for (const plot of plots) {
    plot.marker = Object.assign(document.createElement('div'), { className: 'marker' });
    plot.over.append(plot.marker);
    (plot.hooks.draw ??= []).push(mark);
  }

  function drawAll() {
    figures.forEach(draw);
    plots.forEach(mark);
  }
  for (const figure of figures) {
    const canvas = figure.querySelector('canvas');
    canvas.addEventListener('mousemove', (event) => read(figure, event));
    canvas.addEventListener('mouseleave', () => { figure.querySelector('p').textContent = ''; });
    new ResizeObserver(() => draw(figure)).observe(canvas);
  }
  for (const box of boxes) box.addEventListener('change', drawAll);
  films.addEventListener('time', ({ detail }) => {
    now = detail;
    drawAll();
  });
  drawAll();
})();
