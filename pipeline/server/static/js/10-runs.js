// Lists of runs: filters apply at once, nothing moves under the mouse, comparing needs two.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  if (event.target.name === "run") seamline.countTicked(document);
});
seamline.countTicked = () => {
  const button = document.querySelector("[data-needs-two]");
  if (!button) return;
  const ticked = document.querySelectorAll("input[name=run]:checked").length;
  button.disabled = ticked < 2;
  button.textContent = ticked < 2 ? "Compare (tick two or more)" : "Compare " + ticked + " runs";
};
seamline.dressers.push(seamline.countTicked);

// What is under the mouse stays under the mouse when something above it comes or goes: the page scrolls along.
{
  let at = null;
  addEventListener("mousemove", (event) => { at = [event.clientX, event.clientY]; }, { passive: true });
  document.documentElement.addEventListener("mouseleave", () => { at = null; });
  const refresh = seamline.refresh, place = (node) => node.getBoundingClientRect().top + scrollY;
  seamline.refresh = async () => {
    const under = at && document.elementFromPoint(...at)?.closest("main *");
    const before = under && place(under);
    await refresh();
    if (under?.isConnected && place(under) !== before) scrollBy(0, place(under) - before);
  };
}

// A list under the mouse stays as it is; it catches up when the mouse leaves.
{
  const keep = seamline.keep;
  seamline.keep = (node) => keep(node) || node.nodeType === 1 && node.matches("[data-hold]:hover");
  document.addEventListener("mouseout", (event) => {
    const left = event.target.closest?.("[data-hold]");
    if (left && !left.contains(event.relatedTarget) && document.querySelector("main[data-live]")) seamline.refresh().catch(() => {});
  });
}
