"use strict";
// Before the page is drawn: the theme chosen last, else the system's.
(() => {
  const root = document.documentElement;
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  const light = () => (root.dataset.theme
    ? root.dataset.theme === "light"
    : matchMedia("(prefers-color-scheme: light)").matches);
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = light() ? "Dark" : "Light"; };
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      root.dataset.theme = light() ? "dark" : "light";
      localStorage.setItem("theme", root.dataset.theme);
      name();
    });
  });
})();
