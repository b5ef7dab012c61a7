// Draws the charts of a page: each is a specification of Vega-Lite, without evaluating text as a program. Colours are
// the page's own, so that they follow light and dark by themselves.
const locale = JSON.parse(document.getElementById("locale").textContent);
const config = {
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: null },
  axis: {
    labelColor: "var(--muted)", titleColor: "var(--muted)", gridColor: "var(--line)", domainColor: "var(--line)",
    tickColor: "var(--line)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelOverlap: true,
  },
  legend: { labelColor: "var(--ink)", titleColor: "var(--muted)", labelFontSize: 12, orient: "bottom", columns: innerWidth < 640 ? 1 : 3, labelLimit: 260 },
  header: { labelColor: "var(--ink)", titleColor: "var(--muted)" },
};
const options = {
  ast: true, actions: false, renderer: "svg", defaultStyle: false, config,
  tooltip: { disableDefaultStyle: true },
  formatLocale: locale.number, timeFormatLocale: locale.time,
};
const shared = document.getElementById("datasets");
const datasets = shared ? JSON.parse(shared.textContent) : {};
for (const place of document.querySelectorAll(".chart")) {
  const spec = { ...JSON.parse(document.getElementById(place.dataset.spec).textContent), datasets };
  place.replaceChildren();
  window.vegaEmbed(place, spec, options).then(
    () => { place.dataset.drawn = "yes"; },
    (problem) => { place.textContent = String(problem); },
  );
}

// The map of the rollout: the slider and the choice of colours paint its regions for any day, from what is in the page.
const choice = document.getElementById("choice");
if (choice) {
  const { statuses, levels, words, rate_words: rateWords, history } = JSON.parse(document.getElementById("history").textContent);
  const [slider, slid] = ["slider", "slid"].map((id) => document.getElementById(id));
  const { colour, date } = choice.elements;
  const day = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const paint = () => {
    const at = Number(slider.value);
    date.value = history.dates[at];
    slid.textContent = day.format(new Date(history.dates[at]));
    slider.setAttribute("aria-valuetext", slid.textContent);
    for (const legend of document.querySelectorAll("[data-legend]")) {
      legend.hidden = legend.dataset.legend !== colour.value;
    }
    for (const region of document.querySelectorAll("[data-region]")) {
      const found = history.regions[region.dataset.region];
      const [status, rate] = [statuses[found.status[at]], found.rate[at]];
      const level = rate === null ? "none" : Math.min(Math.floor((levels * rate) / 100), levels - 1);
      region.setAttribute("class", colour.value === "status" ? status : `level-${level}`);
      const said = `${region.dataset.name}: ${words[status]}, ${rateWords.replace("{rate}", rate === null ? "–" : `${rate} %`)}`;
      region.setAttribute("aria-label", said);
      region.querySelector("title").textContent = said;
    }
  };
  slider.addEventListener("input", paint);
  colour.addEventListener("change", paint);
  date.addEventListener("change", () => {
    const at = history.dates.indexOf(date.value);
    if (at >= 0) {
      slider.value = at;
      paint();
    }
  });
  document.querySelector(".slider").hidden = false;
}
