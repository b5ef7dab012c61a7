// The theme is Airflow's own setting, and so is the clock of its pages, which is that of Paris until a person
// chooses another in its menu. Links that leave these pages open in Airflow, not in its frame.
(() => {
  const theme = () => {
    document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
  };
  theme();
  if (localStorage.getItem("timezone") === null) {
    localStorage.setItem("timezone", JSON.stringify("Europe/Paris"));
  }
  addEventListener("storage", theme);
  addEventListener("click", (event) => {
    const link = event.target.closest("a[target=_top]");
    if (link && parent !== window && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const above = parent.document.createElement("a");
      above.href = link.href;
      above.click();
    }
  });
})();
