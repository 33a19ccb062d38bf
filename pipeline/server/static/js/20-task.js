// A task's page: curves drawn from the points in the page, the log by pages and as it is written, copying.
seamline.MOST_LINES = 2000; // of a log in the page; what scrolls out on the other side is fetched again when needed

seamline.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
seamline.plots = new WeakMap();
seamline.steps = (series) => [...new Set(series.flatMap((s) => s[3]))].sort((a, b) => a - b);
seamline.plot = (figure) => {
  const text = figure.querySelector("[data-points]").dataset.points, place = figure.querySelector("[data-plot]");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, known = seamline.plots.get(place), mark = text + dark;
  if (known?.mark === mark) return;
  known?.plot.destroy();
  const series = JSON.parse(text), x = seamline.steps(series), newest = Math.max(...series.map((s) => s[2]));
  const rows = series.map((s) => { const at = new Map(s[3].map((step, i) => [step, s[4][i]])); return x.map((step) => at.get(step) ?? null); });
  const quiet = seamline.colour("--quiet"), line = seamline.colour("--line"), axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px Inter, sans-serif" };
  const drawn = series.map(([name, label, attempt]) => ({ label, stroke: seamline.colour(name.startsWith("valid_") ? "--series-2" : "--series-1"), width: 1.6, spanGaps: true, dash: attempt === newest ? [] : [5, 4], points: { show: x.length < 3 } }));
  const short = (v) => v === null ? "" : Math.abs(v) >= 10000 ? v.toExponential(0) : String(Number(v.toPrecision(3)));
  const plot = new uPlot({ width: place.clientWidth || 300, height: 150, legend: { show: false }, cursor: { y: false, drag: { x: true, y: false } }, scales: { x: { time: false } },
    axes: [{ ...axis, size: 26, values: (u, values) => values.map((v) => Number.isInteger(v) ? String(v) : "") }, { ...axis, size: 48, values: (u, values) => values.map(short) }], series: [{ label: "step" }, ...drawn] }, [x, ...rows], place);
  seamline.plots.set(place, { mark, plot });
  if (!known) new ResizeObserver(() => seamline.plots.get(place)?.plot.setSize({ width: place.clientWidth, height: 150 })).observe(place);
};
seamline.dressers.push((root) => root.querySelectorAll("figure.curve").forEach(seamline.plot));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.querySelectorAll("figure.curve").forEach(seamline.plot));

// The log. `resume` is where reading goes on: at the end, or at the line that is being written.
seamline.cleanLine = (text) => text.replace(/\r$/, "").replace(/.*\r/, "").replace(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, "");
seamline.isMachine = (text) => /^(::|[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] |WARNING: All log messages before absl)/.test(text);
seamline.Log = class {
  constructor(box) {
    this.box = box; this.busy = false; this.bytes = new TextEncoder();
    this.lines = box.querySelector(".lines"); this.read(this.lines.dataset);
    if (this.end >= this.size) box.scrollTop = box.scrollHeight;
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    if (box.dataset.stream) this.listen();
  }
  get follow() { return document.getElementById("follow"); }
  read(data) { [this.start, this.end, this.resume, this.size] = [data.start, data.end, data.resume, data.size].map(Number); }
  toEnd() { this.box.scrollTop = this.box.scrollHeight; }
  nearEnd() { return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40; }
  scrolled() {
    if (this.follow && this.source) this.follow.checked = this.nearEnd();
    if (this.box.scrollTop < 30 && this.start > 0) this.load("before=" + this.start, true);
    else if (this.nearEnd() && !this.source && this.end < this.size) this.load("at=" + this.end, false);
  }
  async page(part) {
    const answer = await fetch(this.box.dataset.lines + part, { headers: { accept: "text/html" } });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".lines") : null;
  }
  async load(part, older) {
    if (this.busy) return;
    this.busy = true;
    try {
      const page = await this.page("&" + part);
      if (!page) return;
      const height = this.box.scrollHeight, added = [...page.children];
      this.size = Number(page.dataset.size);
      if (older) {
        this.lines.prepend(...added); this.start = Number(page.dataset.start);
        this.box.scrollTop += this.box.scrollHeight - height;
        if (this.source && this.lines.children.length > seamline.MOST_LINES) this.pause();
        this.trim(false);
      } else {
        this.lines.append(...added); this.end = Number(page.dataset.end); this.resume = Number(page.dataset.resume);
        const grown = this.box.scrollHeight;
        this.trim(true);
        this.box.scrollTop -= grown - this.box.scrollHeight; // what is read stays where it is
        if (this.paused && this.end >= this.size) this.listen();
      }
    } finally { this.busy = false; }
  }
  trim(top) {
    let over = this.lines.children.length - seamline.MOST_LINES;
    for (; over > 0; over--) { const line = top ? this.lines.firstElementChild : this.lines.lastElementChild; if (!top) this.end = Number(line.dataset.offset); line.remove(); }
    if (top && this.lines.firstElementChild) this.start = Number(this.lines.firstElementChild.dataset.offset);
  }
  // Who reads far up is not disturbed: the stream waits, and goes on when they come back to the end.
  pause() { this.stop(); this.paused = true; this.size = Infinity; }
  async restart() {
    const page = this.paused ? await this.page("") : null;
    if (page) { this.lines.replaceChildren(...page.children); this.read(page.dataset); this.listen(); }
    this.toEnd();
  }
  listen() {
    this.paused = false;
    [...this.lines.children].filter((line) => Number(line.dataset.offset) >= this.resume).forEach((line) => line.remove());
    this.at = this.resume; this.rest = ""; this.open = null;
    this.source = new EventSource(this.box.dataset.stream + "&offset=" + this.resume);
    this.source.addEventListener("log", (event) => this.said(JSON.parse(event.data)));
    this.source.addEventListener("end", () => this.stop());
  }
  stop() { this.source?.close(); this.source = null; }
  said({ text, offset }) {
    const stay = (this.follow?.checked ?? true) && this.nearEnd();
    this.open?.remove();
    const parts = (this.rest + text).split("\n");
    this.rest = parts.pop();
    for (const part of parts) this.add(part + "\n");
    this.at = offset - this.bytes.encode(this.rest).length;
    this.open = this.rest ? this.element(this.rest) : null;
    if (this.open) this.lines.append(this.open);
    this.end = this.size = offset;
    if (stay) { this.trim(true); return this.toEnd(); }
    if (this.lines.children.length > seamline.MOST_LINES) this.pause();
  }
  add(raw) { this.lines.append(this.element(raw.slice(0, -1))); this.at += this.bytes.encode(raw).length; }
  element(raw) { const line = document.createElement("div"), text = seamline.cleanLine(raw); line.className = seamline.isMachine(text) ? "l machine" : "l"; line.dataset.offset = this.at; line.textContent = text + "\n"; return line; }
};
seamline.logs = new WeakMap();
seamline.dressers.push(() => {
  const boxes = [...document.querySelectorAll("[data-lines]")], fresh = boxes.filter((box) => !seamline.logs.has(box));
  if (fresh.length) boxes.filter((box) => !fresh.includes(box)).forEach((box) => { seamline.logs.get(box).stop(); box.remove(); }); // of the attempt before
  fresh.forEach((box) => seamline.logs.set(box, new seamline.Log(box)));
});
document.addEventListener("change", (event) => {
  if (["follow", "machine-lines"].includes(event.target.id) && document.getElementById("follow")?.checked) seamline.logs.get(document.querySelector("[data-lines]"))?.restart();
});
document.addEventListener("click", (event) => {
  const older = event.target.closest("[data-older]"), log = seamline.logs.get(document.querySelector("[data-lines]"));
  if (older && log) { event.preventDefault(); return log.load("before=" + log.start, true); }
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.textContent = "copied"; });
});
