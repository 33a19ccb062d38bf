// Curves of several runs overlaid; the numbers stand in the table below, for those who see no chart.
"use strict";
seamline.overlay = (node) => {
  const runs = JSON.parse(node.dataset.curves), xs = JSON.parse(node.dataset.x), ys = JSON.parse(node.dataset.y);
  const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const data = uPlot.join(xs.map((x, i) => [x, ys[i]]));
  const dashes = [[], [6, 4], [2, 3], [8, 3, 2, 3], [1, 2], [10, 4]];
  node.replaceChildren();
  return new uPlot({
    width: Math.max(200, node.clientWidth), height: 150, legend: { show: false }, cursor: { y: false, points: { size: 6 } }, scales: { x: { time: false } },
    axes: [{ ...axis, size: 26 }, { ...axis, size: 46, values: (_, ticks) => ticks.map((t) => Number(t.toPrecision(3))) }],
    series: [{}, ...runs.map((run) => ({ label: "ABCDEF"[run], stroke: colour(`--series-${run + 1}`), width: 2, dash: dashes[run], spanGaps: true, points: { show: xs[0].length < 2 } }))],
  }, data, node);
};
seamline.dressers.push((root) => {
  const fresh = [...root.querySelectorAll("[data-curves]")].filter((node) => !node.dataset.drawn);
  if (!fresh.length) return;
  // Only what comes into sight is drawn.
  const watcher = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach(({ target }) => {
    watcher.unobserve(target);
    const plot = seamline.overlay(target);
    new ResizeObserver(() => { if (Math.abs(plot.width - target.clientWidth) > 2) plot.setSize({ width: Math.max(200, target.clientWidth), height: 150 }); }).observe(target);
  }), { rootMargin: "200px" });
  for (const node of fresh) { node.dataset.drawn = "yes"; watcher.observe(node); }
});
