// Sets light or dark before the first paint, where the user has chosen one; else the system's choice stands.
// A classic script: a module would run after the page was drawn once in the other colours.
(() => {
  try {
    const chosen = localStorage.getItem("xray-lambda.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // storage is switched off in this browser: the system's choice it is
  }
})();
