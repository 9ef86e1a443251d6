/* Figures with data-chart: drawn by Chart.js from the numbers in the page, with values on hover and a legend of buttons.
   Without scripts, and on paper, the picture in the figure is shown instead. */
(function () {
  "use strict";

  const SYMBOLS = { // matplotlib's marker: Chart.js' point style, rotation, and the same as an SVG path of ±4
    o: ["circle", 0, "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"],
    s: ["rect", 0, "M-3.5-3.5h7v7h-7z"],
    "^": ["triangle", 0, "M0-4.5l4.5 8h-9z"],
    D: ["rectRot", 0, "M0-4.5l4.5 4.5l-4.5 4.5l-4.5-4.5z"],
    v: ["triangle", 180, "M0 4.5l4.5-8h-9z"],
    P: ["cross", 0, "M-4.5 0h9M0-4.5v9"],
    X: ["crossRot", 0, "M-3.5-3.5l7 7M3.5-3.5l-7 7"],
    "<": ["triangle", 270, "M-4.5 0l8-4.5v9z"],
  };
  const WIDTH = 1.6; // of a line, in pixels
  const GUESS = "a guess";
  const MOST_SAID = 12; // values on hover, so that they fit into a panel
  const charts = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function svg(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  /* A short piece of a line as the figure draws it, for the legend. */
  function swatch(line) {
    const stroke = line.colour === null ? "var(--text)" : `var(--series-${line.colour})`;
    const image = svg("svg", { width: 34, height: 12, viewBox: "-17 -6 34 12", "aria-hidden": "true" });
    const dash = line.dash.map((length) => length * WIDTH).join(" ");
    image.append(svg("path", { d: "M-17 0h34", stroke, "stroke-width": WIDTH, "stroke-dasharray": dash, fill: "none" }));
    if (line.marker) image.append(svg("path", { d: SYMBOLS[line.marker][2], stroke, fill: stroke, "stroke-width": 1.5 }));
    return image;
  }

  function dataset(line) {
    const [pointStyle, rotation] = SYMBOLS[line.marker] || ["circle", 0];
    return {
      type: "lineWithErrorBars",
      label: line.part ? `${line.label} · ${line.part}` : line.label,
      data: line.points.map(([x, y, half, words]) => ({
        x: x * line.shift, y, words, at: x, yMin: half === null ? null : y - half, yMax: half === null ? null : y + half,
      })),
      line,
      pointStyle, rotation,
      borderWidth: WIDTH,
      borderDash: line.dash.map((length) => length * WIDTH),
      radius: line.marker ? 3.5 : 0,
      hoverRadius: 6,
      errorBarLineWidth: 1,
      errorBarWhiskerLineWidth: 1,
      errorBarWhiskerSize: 5,
      errorBarWhiskerRatio: 0,
      ...coloursOf(line),
    };
  }

  function coloursOf(line) {
    const own = colour(line.colour === null ? "--text" : `--series-${line.colour}`);
    return { borderColor: own, backgroundColor: own, errorBarColor: own, errorBarWhiskerColor: own };
  }

  /* The lines of a panel, with one at the accuracy of a guess. */
  function linesOf(spec, panel) {
    if (spec.guess === null) return panel.lines;
    const words = String(Number(spec.guess.toPrecision(3)));
    const points = spec.xTicks.map((x) => [x, spec.guess, null, words]);
    return [...panel.lines, { label: GUESS, part: "", row: null, colour: null, marker: "", dash: [6, 3], shift: 1, points }];
  }

  /* On hover: the values of all lines at the x of the nearest mark, the highest first; of many those nearest to it. */
  Chart.Interaction.modes.sameX = (chart, event, options, useFinal) => {
    const [nearest] = Chart.Interaction.modes.nearest(chart, event, { intersect: false, axis: "xy" }, useFinal);
    if (!nearest) return [];
    const pointOf = ({ datasetIndex, index }) => chart.data.datasets[datasetIndex].data[index];
    const found = chart.getSortedVisibleDatasetMetas().flatMap(({ data, index: datasetIndex }) =>
      data.map((element, index) => ({ element, datasetIndex, index })).filter((item) => pointOf(item).at === pointOf(nearest).at));
    const far = (item) => Math.abs(item.element.y - nearest.element.y);
    const said = [...found].sort((a, b) => far(a) - far(b)).slice(0, MOST_SAID);
    chart.unsaid = found.length - said.length;
    return said.sort((a, b) => a.element.y - b.element.y);
  };

  function range(lines) {
    const ends = lines.flatMap((line) => line.points.flatMap(([, y, half]) => [y - (half || 0), y + (half || 0)]));
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const room = 0.04 * (high - low) || 1;
    return { min: low - room, max: high + room };
  }

  function options(spec, panel) {
    const grid = {};
    const x = { grid, title: { display: true, text: spec.xLabel }, type: "linear", ticks: { precision: 0, maxRotation: 0 } };
    if (spec.xTicks.length) {
      const [first, last] = [spec.xTicks[0], spec.xTicks[spec.xTicks.length - 1]];
      Object.assign(x, {
        type: "logarithmic", min: first / 1.15, max: last * 1.15,
        afterBuildTicks: (axis) => { axis.ticks = spec.xTicks.map((value) => ({ value })); },
        ticks: { autoSkip: false, maxRotation: 0, callback: String },
      });
    }
    const y = {
      grid: {}, title: {}, type: panel.logY ? "logarithmic" : "linear",
      ticks: { maxTicksLimit: 8, includeBounds: false, callback: (value) => String(Number(value.toPrecision(6))) },
    };
    return {
      animation: false,
      maintainAspectRatio: false,
      scales: { x, y },
      interaction: { mode: "sameX", intersect: false },
      plugins: {
        legend: { display: false },
        colors: { enabled: false },
        tooltip: {
          usePointStyle: true,
          padding: 8,
          bodyFont: { size: 11 },
          footerFont: { size: 11, weight: "normal" },
          caretPadding: 8,
          callbacks: {
            title: (items) => (items.length ? `${spec.xName} = ${items[0].raw.at}` : ""),
            footer: (items) => (items.length && items[0].chart.unsaid ? `and ${items[0].chart.unsaid} more, farther away` : ""),
            label: (item) => `${item.dataset.label}: ${item.raw.words}`,
          },
        },
      },
    };
  }

  function recolour(chart) {
    for (const set of chart.data.datasets) Object.assign(set, coloursOf(set.line));
    for (const axis of Object.values(chart.options.scales)) {
      axis.grid.color = colour("--line");
      axis.ticks.color = axis.title.color = colour("--text");
      axis.border = { color: colour("--muted") };
    }
    Object.assign(chart.options.plugins.tooltip, {
      backgroundColor: colour("--text"), titleColor: colour("--card"), bodyColor: colour("--card"),
      footerColor: colour("--card"),
    });
    chart.update("none");
  }

  function make(figure) {
    const spec = JSON.parse(figure.dataset.chart);
    const own = []; // the charts of this figure
    const boxes = []; // the part of the page of each
    const atFirst = new Set(spec.guessIsFar ? [GUESS] : []); // labels that are off at first, and after "Show all"
    const off = new Set(atFirst); // labels that the legend hides
    let hidden = new Set(); // rows that the table hides
    const every = spec.panels.flatMap((panel) => linesOf(spec, panel));
    const inTable = (line) => line.row === null || !hidden.has(line.row);
    const isShown = (line) => inTable(line) && !off.has(line.label);

    const panels = element("div", { className: `panels of-${spec.panels.length === 1 ? 1 : spec.panels.length % 2 ? 3 : 2}` });
    const image = figure.querySelector("img");
    const live = element("div", { className: "chart" }, panels);
    live.setAttribute("role", "group");
    live.setAttribute("aria-label", `Figure. ${figure.querySelector("figcaption").textContent}`);
    const hint = "Point at the figure for its values; press a name below to hide or show its lines.";
    panels.before(element("p", { className: "quiet" }, spec.yLabel ? `${spec.yLabel}. ${hint}` : hint));
    figure.prepend(live);
    figure.classList.add("live");

    for (const panel of spec.panels) {
      const canvas = element("canvas", {});
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", spec.panels.length === 1 ? image.alt : `Line chart: ${panel.title}`);
      const box = element("div", { className: "panel" });
      if (panel.title) box.append(element("p", { className: "panel-title" }, panel.title));
      const parts = new Map(panel.lines.filter((line) => line.part && line.points.length).map((line) => [line.part, line]));
      if (parts.size) {
        const key = element("p", { className: "quiet parts" });
        for (const [part, line] of parts) key.append(element("span", {}, swatch({ ...line, colour: null, marker: "" }), ` ${part}`));
        box.append(key);
      }
      box.append(element("div", { className: "canvas" }, canvas));
      panels.append(box);
      boxes.push(box);
      const chart = new Chart(canvas, {
        type: "lineWithErrorBars",
        data: { datasets: linesOf(spec, panel).map(dataset) },
        options: options(spec, panel),
      });
      recolour(chart);
      own.push(chart);
    }
    charts.push(...own);

    function update() {
      const isEmpty = spec.panels.map((panel) => !panel.lines.some(inTable));
      boxes.forEach((box, i) => { box.hidden = isEmpty[i] && isEmpty.includes(false); });
      const shown = every.filter((line) => line.points.length && isShown(line));
      for (const chart of own) {
        if (spec.shareY && shown.length) Object.assign(chart.options.scales.y, range(shown));
        chart.data.datasets.forEach(({ line }, i) => chart.setDatasetVisibility(i, isShown(line)));
        chart.update("none");
      }
      for (const [label, button] of buttons) {
        button.hidden = !every.some((line) => line.label === label && inTable(line));
      }
    }

    const labels = new Map();
    for (const line of every) if (!labels.has(line.label)) labels.set(line.label, line);
    const buttons = new Map();
    for (const [label, line] of labels) {
      const shown = line.part ? { ...line, dash: [] } : line;
      const button = element("button", { type: "button" }, swatch(shown), ` ${label}`);
      button.setAttribute("aria-pressed", String(!off.has(label)));
      button.addEventListener("click", () => show(label, off.has(label)));
      buttons.set(label, button);
    }
    const isOffByHand = () => [...off].some((label) => !atFirst.has(label));
    const toggleAll = element("button", { type: "button", className: "all" }, "Hide all");
    toggleAll.addEventListener("click", () => {
      const isOn = isOffByHand();
      for (const label of labels.keys()) set(label, isOn && !atFirst.has(label));
      show();
    });

    function set(label, isOn) {
      if (isOn) off.delete(label);
      else off.add(label);
      buttons.get(label).setAttribute("aria-pressed", String(isOn));
    }

    function show(label, isOn) {
      if (label !== undefined) set(label, isOn);
      toggleAll.textContent = isOffByHand() ? "Show all" : "Hide all";
      update();
    }

    if (labels.size > 1) {
      const legend = element("div", { className: "legend" }, ...buttons.values(), toggleAll);
      legend.setAttribute("role", "group");
      legend.setAttribute("aria-label", "Lines of the figure: press to show or hide");
      live.append(legend);
    }
    figure.closest("article")?.addEventListener("rowschange", (event) => {
      hidden = event.detail;
      update();
    });
    update();
  }

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  document.querySelectorAll("figure[data-chart]").forEach(make);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(recolour));
})();
