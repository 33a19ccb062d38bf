// Pictures: j k move over tiles as over rows, Enter opens, n p turn the page.
seamline.rows = () => [...document.querySelectorAll("main tbody tr[data-href], main .tile[data-href]")];
seamline.keys.Enter = () => { const chosen = document.querySelector(".chosen[data-href]"); if (chosen) location.href = chosen.dataset.href; };
seamline.keys.n = () => document.querySelector("[data-key=n]")?.click();
seamline.keys.p = () => document.querySelector("[data-key=p]")?.click();
