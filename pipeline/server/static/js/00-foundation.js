// The console's script: pages work without it; it keeps them fresh, sorts tables, and listens to keys.
"use strict";
const seamline = {};

// Live pages: fetch the page anew and change only what differs. Nothing moves that is being used.
seamline.keep = (node) => node.nodeType === 1 && (node.hasAttribute("data-keep") || node === document.activeElement && node.matches("input, select, textarea"));
seamline.refresh = async () => {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (!fresh) return;
  Idiomorph.morph(document.querySelector("main"), fresh, {
    callbacks: { beforeNodeMorphed: (old) => !seamline.keep(old), beforeNodeRemoved: (old) => !seamline.keep(old),
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS") && name !== "aria-sort" },
  });
  seamline.dress(document);
};
seamline.listen = () => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const source = new EventSource("/live?run=" + encodeURIComponent(main.dataset.live));
  let waiting = false;
  source.addEventListener("changed", () => { // the first one too: something may have changed before we listened
    if (waiting) return;
    waiting = true;
    setTimeout(async () => { waiting = false; try { await seamline.refresh(); } catch { /* the stream says so */ } }, 300);
  });
  source.onerror = () => { document.querySelector(".offline").hidden = false; };
  source.onopen = () => { document.querySelector(".offline").hidden = true; };
};

// Times relative to now.
seamline.ago = (then) => {
  const seconds = (Date.now() - then) / 1000, size = Math.abs(seconds);
  const [value, unit] = size < 60 ? [seconds, "second"] : size < 3600 ? [seconds / 60, "minute"] : size < 172800 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.round(value), unit);
};
seamline.times = (root) => root.querySelectorAll("time[data-relative]").forEach((t) => { t.textContent = seamline.ago(Date.parse(t.dateTime)); });

// Tables: click or Enter on a heading sorts; data-value beats the text.
seamline.value = (row, column) => { const cell = row.cells[column]; const text = cell?.dataset.value ?? cell?.textContent.trim() ?? ""; const number = Number(text); return text !== "" && !Number.isNaN(number) ? number : text; };
seamline.sort = (heading) => {
  const table = heading.closest("table"), column = heading.cellIndex, down = heading.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach((h) => h.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0], rows = [...body.rows];
  rows.sort((a, b) => { const [x, y] = [seamline.value(a, column), seamline.value(b, column)]; const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)); return down ? -order : order; });
  body.append(...rows);
};
seamline.csv = (table) => [...table.rows].map((r) => [...r.cells].map((c) => '"' + c.textContent.trim().replace(/\s+/g, " ").replaceAll('"', '""') + '"').join(",")).join("\n");

// What a page needs after every change; other files add to the list.
seamline.dressers = [seamline.times];
seamline.dress = (root) => seamline.dressers.forEach((dresser) => dresser(root));

// Keys: / search, j k move, Enter open, r rerun, ? help.
seamline.rows = () => [...document.querySelectorAll("main tbody tr[data-href]")];
seamline.move = (step) => {
  const rows = seamline.rows(), at = rows.findIndex((r) => r.classList.contains("chosen"));
  if (!rows.length) return;
  rows.forEach((r) => r.classList.remove("chosen"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  next.classList.add("chosen"); next.scrollIntoView({ block: "nearest" });
};
seamline.keys = {
  "/": () => document.querySelector(".search input").focus(), j: () => seamline.move(1), k: () => seamline.move(-1),
  Enter: () => { const row = document.querySelector("tr.chosen"); if (row) location.href = row.dataset.href; },
  r: () => document.querySelector("[data-key=r]")?.click(), "?": () => document.getElementById("keys").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, button, a, dialog, summary") && event.key !== "?") return;
  if (event.target.closest("input, textarea")) return;
  const act = seamline.keys[event.key];
  if (act) { event.preventDefault(); act(); }
});
document.addEventListener("click", (event) => {
  const heading = event.target.closest("th[data-sort]");
  if (heading) return seamline.sort(heading);
  const copy = event.target.closest("[data-copy-table]");
  if (copy) return navigator.clipboard.writeText(seamline.csv(document.getElementById(copy.dataset.copyTable))).then(() => { copy.textContent = "Copied"; });
});
seamline.starters = []; // what runs once, when the page has been seen
seamline.begin = () => {
  seamline.starters.forEach((starter) => starter()); seamline.dress(document); seamline.listen();
  setInterval(() => seamline.times(document), 10000); document.documentElement.dataset.ready = "yes";
};
// After the other files of this script have added to the lists, and the page is there to its end.
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", seamline.begin); else setTimeout(seamline.begin);
