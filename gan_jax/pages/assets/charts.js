// Draws the page's charts with uPlot. They share controls and the x axis: hovering and zooming one is hovering and zooming all.
'use strict';
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read('charts');
  const clocks = read('clocks');
  const control = (id) => document.getElementById(id); // some pages have charts without controls
  const plots = [];
  const style = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name);
  const short = { kimg: 'kimg', step: 'step', hours: 'hours' };
  let whole;

  // Settings, kept while a page that is written anew is loaded again; some browsers keep nothing for files.
  const settings = { axis: 'kimg', smoothing: 0, logarithmic: false };
  const place = `charts ${location.pathname}`;
  try {
    if (control('axis')) Object.assign(settings, JSON.parse(sessionStorage.getItem(place)));
  } catch {}

  function keep() {
    try {
      sessionStorage.setItem(place, JSON.stringify(settings));
    } catch {}
  }

  function zoomAll({ min, max }) {
    for (const plot of plots) {
      const { x } = plot.scales;
      if (x.min !== min || x.max !== max) plot.setScale('x', { min, max });
    }
  }

  function format(value) {
    if (value == null) return '–';
    const rounded = Number(value.toPrecision(5));
    const size = Math.abs(rounded);
    return size !== 0 && (size < 1e-3 || size >= 1e7) ? rounded.toExponential() : String(rounded);
  }

  // Thousands of images as values of another axis: on straight lines between what its clock knows.
  function onAxis(xs, label) {
    const clock = (clocks[label] ?? clocks[''])?.[settings.axis];
    if (!clock) return xs;
    const [from, to] = clock;
    let i = 1;
    return xs.map((x) => {
      while (i < from.length - 1 && from[i] < x) i++;
      if (from.length < 2) return to[0] ?? x;
      return to[i - 1] + ((to[i] - to[i - 1]) * (x - from[i - 1])) / (from[i] - from[i - 1] || 1);
    });
  }

  // A running mean whose weights fall by a factor a point, divided by their sum, so that it begins at the first value.
  function smooth(ys) {
    let mean = 0;
    let weight = 0;
    return ys.map((y) => {
      if (y == null) return y;
      mean = settings.smoothing * mean + (1 - settings.smoothing) * y;
      weight = settings.smoothing * weight + 1 - settings.smoothing;
      return mean / weight;
    });
  }

  // Series with points of their own are laid over all points (undefined where they have none); null is a gap.
  function joined(series) {
    if (series.length === 1) return [series[0].xs, series[0].ys];
    return uPlot.join(series.map((one) => [one.xs, one.ys]), series.map(() => [2, 2]));
  }

  // The point of a series that is nearest to the hovered one.
  function nearest(plot, number, hovered) {
    const values = plot.data[number];
    for (let distance = 0; distance < values.length; distance++) {
      if (values[hovered - distance] !== undefined) return hovered - distance;
      if (values[hovered + distance] !== undefined) return hovered + distance;
    }
    return hovered;
  }

  // In the legend stands the hovered value, or else the last.
  function legendValue(plot, value, number, at) {
    return format(at == null ? plot.data[number].findLast((one) => one != null) : value);
  }

  // The curves before they were smoothed, pale.
  function drawRaw(plot, raw) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.globalAlpha = 0.25;
    for (const { xs, ys, color } of raw) {
      ctx.strokeStyle = color;
      ctx.beginPath();
      let pen = 'moveTo';
      ys.forEach((y, i) => {
        if (y != null) ctx[pen](plot.valToPos(xs[i], 'x', true), plot.valToPos(y, 'y', true));
        pen = y == null ? 'moveTo' : 'lineTo';
      });
      ctx.stroke();
    }
    ctx.restore();
  }

  function draw(place, chart) {
    const logarithmic = !chart.limits && (settings.logarithmic || chart.logarithmic);
    const raw = chart.series.map((one) => ({
      ...one,
      xs: onAxis(one.xs, one.label),
      ys: logarithmic ? one.ys.map((y) => (y > 0 ? y : null)) : one.ys,
    }));
    const shown = settings.smoothing ? raw.map((one) => ({ ...one, ys: smooth(one.ys) })) : raw;
    const axis = { stroke: style('--faint'), grid: { stroke: style('--line'), width: 1 }, ticks: { show: false } };
    const labels = (plot, ticks) => ticks.map((tick) => (tick == null ? '' : format(tick)));
    const y = chart.limits ? { range: () => chart.limits } : { distr: logarithmic ? 3 : 1 };
    const options = {
      title: chart.title,
      width: place.clientWidth,
      height: place.classList.contains('wide') ? 480 : 260,
      cursor: {
        sync: { key: 'page', scales: ['x', null] },
        drag: { x: true, y: false },
        dataIdx: nearest,
        bind: { dblclick: () => () => zoomAll(whole) },
      },
      scales: { x: { time: false, ...whole }, y },
      axes: [
        { ...axis, size: 28, label: control('axis')?.selectedOptions[0].textContent ?? 'images (thousands)', labelSize: 18, labelFont: '11px system-ui', values: labels },
        { ...axis, size: 60, values: labels },
      ],
      series: [
        { label: short[settings.axis], value: legendValue },
        ...shown.map((one) => ({
          label: one.label,
          stroke: one.color,
          width: 1.5,
          points: { fill: style('--paper') },
          value: legendValue,
        })),
      ],
      hooks: {
        setScale: [(plot, key) => key === 'x' && plots.includes(plot) && zoomAll(plot.scales.x)], // and not one that is gone
        drawAxes: settings.smoothing ? [(plot) => drawRaw(plot, raw)] : [],
      },
    };
    const plot = new uPlot(options, joined(shown), place);
    const title = plot.root.querySelector('.u-title');
    title.title = 'Click to enlarge';
    title.addEventListener('click', () => {
      place.classList.toggle('wide');
      plot.setSize({ width: place.clientWidth, height: place.classList.contains('wide') ? 480 : 260 });
    });
    place.plot = plot; // for whoever opens the console
    plots.push(plot);
  }

  function drawAll() {
    for (const plot of plots.splice(0)) plot.destroy();
    const xs = Object.values(charts).flatMap((chart) => chart.series.flatMap((one) => onAxis(one.xs, one.label)));
    whole = { min: xs.reduce((a, b) => Math.min(a, b), 0), max: xs.reduce((a, b) => Math.max(a, b), 0) || 1 };
    for (const place of document.querySelectorAll('[data-chart]')) draw(place, charts[place.dataset.chart]);
  }

  // All curves as a table: a row for each place on the x axis, a column for each curve.
  function table() {
    const all = Object.values(charts).flatMap(({ title, series }) => series.map((one) => ({ ...one, title })));
    const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
    const names = all.map(({ title, label }) => (title.toLowerCase() === label.toLowerCase() ? title : `${title}: ${label}`));
    const [xs, ...columns] = joined(all);
    const beside = Object.entries(clocks['']  ?? {}).map(([axis]) => axis);
    const before = settings.axis;
    const others = beside.map((axis) => {
      settings.axis = axis;
      return onAxis(xs, '');
    });
    settings.axis = before;
    const rows = xs.map((x, i) => [x, ...others.map((one) => one[i]), ...columns.map((one) => one[i] ?? '')]);
    return [['kimg', ...beside, ...names.map(quoted)], ...rows].map((row) => row.join(',')).join('\n') + '\n';
  }

  if (control('axis')) {
    control('axis').value = settings.axis;
    if (control('axis').selectedIndex < 0) control('axis').value = settings.axis = 'kimg';
    control('smoothing').value = settings.smoothing;
    control('logarithmic').checked = settings.logarithmic;
    for (const id of ['axis', 'smoothing', 'logarithmic']) {
      const show = () => (control('smoothing').nextElementSibling.textContent = settings.smoothing);
      show();
      control(id).addEventListener('input', () => {
        settings.axis = control('axis').value;
        settings.smoothing = Number(control('smoothing').value);
        settings.logarithmic = control('logarithmic').checked;
        show();
        keep();
        drawAll();
      });
    }
    control('csv').addEventListener('click', () => {
      const link = document.createElement('a');
      link.download = `${document.title.replace(/[^\w.-]+/g, '-')}.csv`;
      link.href = URL.createObjectURL(new Blob([table()], { type: 'text/csv' }));
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  drawAll();
  const observer = new ResizeObserver(() => {
    for (const plot of plots) plot.setSize({ width: plot.root.parentElement.clientWidth, height: plot.height });
  });
  for (const room of document.querySelectorAll('.charts')) observer.observe(room);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const plot of plots) plot.redraw(false, true);
  });
})();
