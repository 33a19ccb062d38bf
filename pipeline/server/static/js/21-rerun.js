// A rerun's form: a changed value is marked, stands in the address, and the plan follows. Without script a button does it.
seamline.rerunQuery = (form) => {
  const query = new URL(form.dataset.here, location.href).searchParams;
  form.querySelectorAll("[data-earlier]").forEach((field) => {
    const changed = field.value.trim() !== field.dataset.earlier.trim();
    field.classList.toggle("changed", changed);
    if (changed) query.set(field.name, field.value);
  });
  return query;
};
seamline.rerunUpdate = async (form) => {
  const asked = location.pathname + "?" + seamline.rerunQuery(form);
  history.replaceState(null, "", asked);
  const answer = await fetch(asked, { headers: { accept: "text/html" } });
  if (!answer.ok || asked !== location.pathname + location.search) return; // somebody has typed on
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["plan", "terminal"]) Idiomorph.morph(document.getElementById(id), fresh.getElementById(id));
  form.querySelectorAll("small.knob-about").forEach((about) => { const now = fresh.getElementById(about.id); if (now) Idiomorph.morph(about, now); });
};
seamline.starters.push(() => {
  const form = document.getElementById("rerun");
  if (!form) return;
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => seamline.rerunUpdate(form).catch(() => {}), 250); });
});
// What makes a run is sent once, however often the button is pressed; a page that comes back can be sent again.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button && button.formMethod !== "get" && button.closest("#rerun, form") && (button.id === "go" || button.hasAttribute("data-once"))) setTimeout(() => { button.disabled = true; }, 0);
});
addEventListener("pageshow", (event) => { if (event.persisted) document.querySelectorAll("#go, [data-once]").forEach((b) => { b.disabled = false; }); });
