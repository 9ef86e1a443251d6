// The button that changes between light and dark; until it is pressed the page follows the machine.

const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

export function themeButton(node) {
  const draw = () => {
    const words = dark() ? "Change to light" : "Change to dark";
    node.setAttribute("aria-label", words);
    node.title = words;
    node.firstElementChild.className = `icon icon-${dark() ? "sun" : "moon"}`;
  };
  node.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("lowshot-theme", document.documentElement.dataset.theme);
    } catch {
      // storage is switched off: the choice lasts until the page is left
    }
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
