// Running durations go on between two changes of a page. The server's clock counts, which `data-now` tells.
seamline.duration = (seconds) => {
  const whole = Math.round(seconds), two = (number) => String(number).padStart(2, "0");
  if (seconds < 9.95) return seconds.toFixed(1) + " s";
  if (whole < 60) return whole + " s";
  return whole < 3600 ? Math.floor(whole / 60) + " min " + two(whole % 60) + " s" : Math.floor(whole / 3600) + " h " + two(Math.floor(whole % 3600 / 60)) + " min";
};
seamline.brief = (seconds) => { // in a narrow cell
  if (seconds < 59.5) return (seconds >= 0.95 ? Math.round(seconds) : seconds.toFixed(1)) + " s";
  return seconds < 3570 ? Math.round(seconds / 60) + " min" : (seconds / 3600).toFixed(1) + " h";
};
{
  let told = 0, ahead = 0; // the latest time that the server told, and how far this machine's clock is ahead of it
  const running = () => [...document.querySelectorAll("[data-since]")];
  const tick = () => running().forEach((node) => {
    const seconds = Math.max(0, Date.now() / 1000 - ahead - node.dataset.since);
    const text = "brief" in node.dataset ? seamline.brief(seconds) : seamline.duration(seconds);
    if (node.textContent !== text) node.textContent = text;
  });
  seamline.dressers.push(() => {
    const now = Math.max(...running().map((node) => Number(node.dataset.now)));
    if (now > told) { told = now; ahead = Date.now() / 1000 - now; }
    tick();
  });
  setInterval(tick, 1000);
}

// Numbers are shown with a minus sign; programs, and sorting, read a hyphen.
{
  const { csv, value } = seamline, plain = (text) => text.replace(/−(?=[\d.])/g, "-");
  seamline.csv = (table) => plain(csv(table));
  seamline.value = (row, column) => { const found = value(row, column), number = Number(plain(String(found))); return found !== "" && !Number.isNaN(number) ? number : found; };
}
