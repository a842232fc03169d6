// Draws the page's charts with uPlot. They share the x axis: hovering and zooming one is hovering and zooming all.
'use strict';
(() => {
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const xs = Object.values(charts).flatMap((chart) => chart.series.flatMap((one) => one.xs));
  const whole = { min: xs.reduce((a, b) => Math.min(a, b), 0), max: xs.reduce((a, b) => Math.max(a, b), 0) || 1 };
  const plots = [];
  const style = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name);

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
    return size !== 0 && (size < 1e-3 || size >= 1e6) ? rounded.toExponential() : String(rounded);
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

  function draw(place, chart) {
    const axis = { stroke: style('--faint'), grid: { stroke: style('--line'), width: 1 }, ticks: { show: false } };
    const labels = (plot, ticks) => ticks.map((tick) => (tick == null ? '' : format(tick)));
    const y = chart.limits ? { range: () => chart.limits } : { distr: chart.logarithmic ? 3 : 1 };
    const options = {
      title: chart.title,
      width: place.clientWidth,
      height: 240,
      cursor: {
        sync: { key: 'page', scales: ['x', null] },
        drag: { x: true, y: false },
        dataIdx: nearest,
        bind: { dblclick: () => () => zoomAll(whole) },
      },
      scales: { x: { time: false, ...whole }, y },
      axes: [axis, { ...axis, size: 56, values: labels }],
      series: [
        { label: 'kimg', value: (plot, value) => format(value) },
        ...chart.series.map((one) => ({
          label: one.label,
          stroke: one.color,
          width: 1.5,
          points: { fill: style('--paper') },
          value: (plot, value) => format(value),
        })),
      ],
      hooks: { setScale: [(plot, key) => key === 'x' && zoomAll(plot.scales.x)] },
    };
    const plot = new uPlot(options, joined(chart.series), place);
    place.plot = plot; // for whoever opens the console
    plots.push(plot);
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: options.height })).observe(place);
  }

  for (const place of document.querySelectorAll('[data-chart]')) draw(place, charts[place.dataset.chart]);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const plot of plots) plot.redraw(false, true);
  });
})();
