// Sets the theme before anything is drawn, so that a dark page never flashes white. Loaded as a classic script for that.
"use strict";

(() => {
  const stored = () => {
    try {
      return localStorage.getItem("lowshot-theme");
    } catch {
      return null; // storage is switched off
    }
  };
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
