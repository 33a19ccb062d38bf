// The next times of a schedule, shown while it is being typed.
seamline.previewSchedule = (form) => {
  let timer;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await fetch(location.pathname + "?" + new URLSearchParams(new FormData(form)), { headers: { accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("preview");
      if (fresh) document.getElementById("preview").replaceWith(fresh);
    }, 300);
  });
};
seamline.starters.push(() => document.querySelectorAll("form[data-preview]").forEach(seamline.previewSchedule));
