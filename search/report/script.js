"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const show = (name) => {
    if (name === "auto") delete root.dataset.theme;
    else root.dataset.theme = name;
    theme.textContent = name[0].toUpperCase() + name.slice(1);
    theme.setAttribute("aria-label", "Colours: " + (name === "auto" ? "as the system" : name));
  };
  theme.addEventListener("click", () => {
    show(themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length]);
  });
  const wanted = location.hash.match(/^#theme=(light|dark)$/);
  if (wanted) show(wanted[1]);

  const copied = (button) => {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  };
  // A page opened as a file may have no clipboard; a selection can always be copied.
  const copySelected = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  };
  for (const button of document.querySelectorAll(".copy")) {
    const element = document.getElementById(button.dataset.copy);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(element.textContent);
        copied(button);
      } catch {
        if (copySelected(element)) copied(button);
      }
    });
  }

  const tip = document.getElementById("tip");
  document.addEventListener("pointerover", (event) => {
    const text = event.target.dataset ? event.target.dataset.tip : "";
    tip.hidden = !text;
    if (text) tip.textContent = text;
  });
  document.addEventListener("pointermove", (event) => {
    if (tip.hidden) return;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.left = Math.max(8, left) + "px";
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.top = (above < 8 ? event.clientY + 18 : above) + "px";
  });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const section of document.querySelectorAll("section")) seen.observe(section);
})();
