// All that runs before a page is seen. Nothing on it needs the console's script to be read, so that comes after.
"use strict";
{
  document.documentElement.classList.add("scripted");
  const source = document.currentScript.dataset.console;
  const load = () => { const script = document.createElement("script"); script.src = source; document.head.append(script); };
  if (document.hidden) load(); // a tab in the background paints nothing
  else new PerformanceObserver((list, observer) => { observer.disconnect(); load(); }).observe({ type: "paint", buffered: true });

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
