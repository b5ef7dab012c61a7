// The theme is Airflow's own setting, and so is the clock of its pages, which is that of Paris until a person
// chooses another in its menu. So is the language, for pages that speak several: the server learns it by a cookie.
// Links that leave these pages open in Airflow, not in its frame.
(() => {
  const page = document.documentElement;
  const theme = () => {
    page.dataset.theme = localStorage.getItem("theme") ?? "";
  };
  const language = () => {
    const [chosen, spoken] = [localStorage.getItem("i18nextLng"), page.dataset.languages?.split(" ")];
    const kept = `parc_language=${chosen}`;
    if (!chosen || !spoken || document.cookie.split("; ").includes(kept)) {
      return;
    }
    document.cookie = `${kept}; Path=/; Max-Age=31536000; SameSite=Lax`;
    const code = chosen.split("-")[0];
    if ((spoken.includes(code) ? code : spoken[0]) !== page.lang) {
      location.reload();
    }
  };
  theme();
  language();
  if (localStorage.getItem("timezone") === null) {
    localStorage.setItem("timezone", JSON.stringify("Europe/Paris"));
  }
  addEventListener("storage", theme);
  addEventListener("storage", language);
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
