// All that runs before a page is seen. Nothing on it needs the console's script to be read, so that comes after.
"use strict";
{
  const classes = document.documentElement.classList;
  classes.add("scripted");
  const source = document.currentScript.dataset.console;
  // The font comes after the first page, so that it is not laid out twice; then it is at hand.
  const font = () => classes.add("inter");
  const remembered = (work) => { try { return work(localStorage); } catch { return null; } }; // where nothing may be kept
  if (remembered((kept) => kept.getItem("inter"))) font();
  const load = () => {
    const script = document.createElement("script");
    script.src = source;
    document.head.append(script);
    font(); remembered((kept) => kept.setItem("inter", "seen"));
  };
  const seen = (list, observer) => { if (list.getEntriesByName("first-contentful-paint").length) { observer.disconnect(); load(); } };
  if (document.hidden) load(); // a tab in the background paints nothing
  else new PerformanceObserver(seen).observe({ type: "paint", buffered: true });

  // The addresses that KFP's own SDK prints.
  const openHash = () => {
    const routes = [
      [/^#\/runs\/details\/([^/?]+)/, "/runs/"], [/^#\/pipelines\/details\/([^?]+)/, "/pipelines/"],
      [/^#\/experiments\/details\/([^/?]+)/, "/runs?experiment="], [/^#\/recurringrun\/details\/([^/?]+)/, "/schedules/"],
      [/^#\/runs\b()/, "/runs"], [/^#\/pipelines\b()/, "/pipelines"], [/^#\/experiments\b()/, "/experiments"], [/^#\/recurringruns\b()/, "/schedules"],
    ];
    for (const [pattern, address] of routes) {
      const found = location.hash.match(pattern);
      if (found) return location.replace(address + found[1]);
    }
  };
  openHash();
  addEventListener("hashchange", openHash);
}
