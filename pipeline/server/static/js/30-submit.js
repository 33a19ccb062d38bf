// New run: the estimate follows the form, settings can be searched, folders can be picked. All of it works without, by hand.
"use strict";
seamline.estimate = async (form) => {
  seamline.asking?.abort();
  seamline.asking = new AbortController();
  try {
    const answer = await fetch("/submit/estimate", { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { accept: "text/html" }, signal: seamline.asking.signal });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("estimate");
    const old = document.getElementById("estimate");
    if (fresh && old) Idiomorph.morph(old, fresh, { callbacks: { beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS") } });
  } catch { /* a newer question was asked, or the server is away: what stands there stays */ }
};
seamline.findSetting = (text) => {
  const wanted = text.trim().toLowerCase();
  for (const group of document.querySelectorAll("details.group")) {
    let hits = 0;
    for (const row of group.querySelectorAll("[data-setting]")) { const hit = row.dataset.setting.toLowerCase().includes(wanted); row.hidden = !hit; hits += hit; }
    group.hidden = wanted !== "" && hits === 0;
    if (wanted) group.open = hits > 0;
  }
};
seamline.browse = async (panel, at) => {
  const answer = await fetch("/submit/folders?format=json&at=" + encodeURIComponent(at));
  if (!answer.ok) { if (at) return seamline.browse(panel, ""); return; }
  const { folder } = await answer.json();
  const use = document.createElement("button"); use.type = "button"; use.textContent = "Use this folder"; use.dataset.use = folder.path;
  const head = document.createElement("p"); const path = document.createElement("code"); path.textContent = folder.path;
  head.append(path, " ", use);
  const list = document.createElement("ul");
  const entry = (label, target) => { const item = document.createElement("li"), button = document.createElement("button"); button.type = "button"; button.textContent = label; button.dataset.at = target; item.append(button); list.append(item); };
  if (folder.parent) entry("↑ " + folder.parent, folder.parent);
  for (const root of folder.roots) if (root !== folder.path && root !== folder.parent) entry("⌂ " + root, root);
  for (const name of folder.folders) entry(name + "/", folder.path.replace(/\/$/, "") + "/" + name);
  panel.replaceChildren(head, list); panel.hidden = false; list.querySelector("button")?.focus();
};
seamline.starters.push(() => {
  const form = document.querySelector("form.submit");
  if (!form) return;
  let timer;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => seamline.estimate(form), 400); });
  form.querySelector("[data-check]").closest("p").hidden = true;
  const find = document.querySelector("input[data-find-setting]");
  if (find) { find.hidden = false; find.addEventListener("input", (event) => { event.stopPropagation(); seamline.findSetting(find.value); }); }
  const browse = form.querySelector("[data-browse]"), panel = form.querySelector("[data-browser]"), data = form.querySelector("#f-data");
  if (browse) {
    browse.hidden = false;
    browse.addEventListener("click", () => { if (panel.hidden) seamline.browse(panel, data.value.startsWith("/") ? data.value : ""); else panel.hidden = true; });
    panel.addEventListener("click", (event) => {
      const { at, use } = event.target.dataset;
      if (at !== undefined) seamline.browse(panel, at);
      if (use !== undefined) { data.value = use; panel.hidden = true; data.focus(); data.dispatchEvent(new Event("input", { bubbles: true })); }
    });
  }
  // A link to a setting opens the group that it is in.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#f-"]');
    const field = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!field) return;
    event.preventDefault();
    const group = field.closest("details"); if (group) group.open = true;
    field.closest("[data-setting]")?.removeAttribute("hidden");
    field.scrollIntoView({ block: "center" }); field.focus();
  });
});
