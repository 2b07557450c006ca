"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const scored = data.items.filter(item => item.error === undefined);  // in descending order of score
const unreadable = data.items.filter(item => item.error !== undefined);
const hasLabels = scored.some(item => item.label !== undefined);
// Images the detector was fitted on say nothing about its accuracy.
const testSet = scored.filter(item => item.label !== undefined && !item.used);
const positives = testSet.filter(item => item.label === 1).length, negatives = testSet.length - positives;
const hasQuality = positives > 0 && negatives > 0;
const scores = scored.map(item => item.score);
const highest = Math.max(data.threshold, ...scores.slice(0, 1)), lowest = Math.min(data.threshold, ...scores.slice(-1));
// Bars of which none lies on both sides of the threshold, at first.
const BINS = 48, wide = (highest - lowest || 1) * 1.04 / (BINS - 2);
const from = data.threshold - wide * Math.ceil((data.threshold - lowest) / wide + 0.5), to = from + BINS * wide;
let threshold = data.threshold, current = -1, visible = [], drawn = 0, zoomed = false, aspect = 0;

const defective = item => item.score > threshold;
const band = () => threshold === data.threshold ? data.unsure : null;  // a threshold moved by hand has none
const unsure = item => Boolean(band()) && item.score > band()[0] && item.score <= band()[1];
const verdict = item => unsure(item) ? "unsure" : defective(item) ? "defective" : "good";
const wrong = item => item.label !== undefined && !unsure(item) && defective(item) !== (item.label === 1);
const confidence = item => 1 / (1 + Math.exp(-Math.abs(item.score - threshold) / data.scale));
const digits = value => value.toPrecision(4);
const capped = value => Math.min(0.99, value).toFixed(2); // 1.00 would mean certainty

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name);

// What a person decides: by the name of the file, "false alarm" or "missed".
const decisions = new Map();

// Histogram: bars are coloured by label if labelled, else by the side of the threshold.
$("quality").hidden = !hasQuality;  // before the width is asked for
const W = Math.max(280, $("histogram").clientWidth), H = W > 500 ? 260 : 170;  // text keeps its size
const bins = Array.from({length: BINS}, () => [0, 0, 0]);
for (const item of scored) {
  const bin = Math.max(0, Math.min(BINS - 1, Math.floor((item.score - from) / (to - from) * BINS)));
  bins[bin][item.label === undefined ? 2 : item.label] += 1;
}
const tallest = Math.max(1, ...bins.map(b => b[0] + b[1] + b[2]));
const xOf = score => (score - from) / (to - from) * W;
let thresholdLine;
function histogram() {
  const svg = draw("svg", {viewBox: `0 0 ${W} ${H + 34}`, role: "img", "aria-label": "Histogram of scores, with the threshold"});
  if (data.unsure) {
    const [low, high] = data.unsure.map(score => Math.min(W, Math.max(0, xOf(score))));
    svg.append(draw("rect", {id: "band", x: low, y: 0, width: high - low, height: H, fill: "#e4e0f2"}));
  }
  bins.forEach((bin, k) => {
    let top = H;
    bin.forEach((count, kind) => {
      if (!count) return;
      const height = count / tallest * (H - 28);  // the legend is above
      top -= height;
      const bar = draw("rect", {x: k * W / BINS + 0.5, width: W / BINS - 1, y: top, height, "data-bin": k, "data-kind": kind});
      bar.append(draw("title", {}, document.createTextNode(`${count} image${count === 1 ? "" : "s"}`)));
      svg.append(bar);
    });
  });
  svg.append(draw("line", {x1: 0, x2: W, y1: H, y2: H, stroke: "#8894a5"}));
  const power = 10 ** Math.floor(Math.log10((to - from) / 4)), step = power * [1, 2, 5].findLast(n => n * power <= (to - from) / 4);
  for (let value = Math.ceil(from / step) * step; value <= to; value += step) {
    const x = xOf(value), anchor = x < 12 ? "start" : x > W - 12 ? "end" : "middle";
    const text = draw("text", {x, y: H + 18, "text-anchor": anchor, "font-size": 13, fill: css("--soft")});
    text.textContent = String(Number(value.toPrecision(3)) || 0);
    svg.append(draw("line", {x1: x, x2: x, y1: H, y2: H + 4, stroke: "#8894a5"}), text);
  }
  const count = draw("text", {x: 0, y: 14, "font-size": 13, fill: css("--soft")});
  count.textContent = `images per bar, at most ${tallest}`;
  svg.append(count);
  const legend = draw("text", {x: W, y: 14, "text-anchor": "end", "font-size": 13});
  const word = hasLabels ? "labelled" : "classified as";
  for (const [text, fill] of [[`■ ${word} good  `, css("--good")], [`■ ${word} defective`, css("--bad")]]) {
    const span = draw("tspan", {fill});
    span.textContent = text;
    legend.append(span);
  }
  svg.append(legend);
  thresholdLine = draw("line", {y1: 22, y2: H, stroke: css("--ink"), "stroke-width": 2, "stroke-dasharray": "5 3"});
  svg.append(thresholdLine);
  const move = event => {
    const box = svg.getBoundingClientRect();
    set(from + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (to - from));
  };
  svg.style.cursor = "col-resize";
  svg.style.touchAction = "pan-y";
  svg.addEventListener("pointerdown", event => { svg.setPointerCapture(event.pointerId); move(event); });
  svg.addEventListener("pointermove", event => { if (event.buttons) move(event); });
  $("histogram").append(svg);
}
function colourBars() {
  for (const bar of $("histogram").querySelectorAll("rect[data-bin]")) {
    const middle = from + (Number(bar.dataset.bin) + 0.5) / BINS * (to - from), kind = bar.dataset.kind;
    bar.setAttribute("fill", css((kind === "2" ? middle > threshold : kind === "1") ? "--bad" : "--good"));
  }
  thresholdLine.setAttribute("x1", xOf(threshold));
  thresholdLine.setAttribute("x2", xOf(threshold));
}

// ROC curve: lowers the threshold score by score; images of equal score move together.
function roc() {
  const points = [[0, 0]];
  let tp = 0, fp = 0, area = 0;
  for (let k = 0; k < testSet.length;) {
    const value = testSet[k].score, [x, y] = points[points.length - 1];
    for (; k < testSet.length && testSet[k].score === value; k++) testSet[k].label ? tp++ : fp++;
    points.push([fp / negatives, tp / positives]);
    area += (fp / negatives - x) * (tp / positives + y) / 2;
  }
  $("auroc").textContent = `AUROC ${area.toFixed(3)}`;
  const svg = draw("svg", {viewBox: "-26 -6 238 236", role: "img", "aria-label": `ROC curve, area ${area.toFixed(3)}`});
  svg.append(draw("rect", {x: 0, y: 0, width: 200, height: 200, fill: "none", stroke: "#c3cad4"}));
  svg.append(draw("line", {x1: 0, y1: 200, x2: 200, y2: 0, stroke: "#c3cad4", "stroke-dasharray": "4 4"}));
  const path = points.map(([x, y]) => `${200 * x},${200 - 200 * y}`).join(" ");
  svg.append(draw("polyline", {points: path, fill: "none", stroke: css("--good"), "stroke-width": 2}));
  svg.append(draw("circle", {id: "point", r: 5, fill: css("--bad")}));
  const x = draw("text", {x: 100, y: 220, "text-anchor": "middle", "font-size": 12, fill: css("--soft")});
  x.textContent = "false positive rate";
  const y = draw("text", {x: -100, y: -10, transform: "rotate(-90)", "text-anchor": "middle", "font-size": 12, fill: css("--soft")});
  y.textContent = "true positive rate";
  svg.append(x, y);
  $("roc").append(svg);
}
function quality() {
  const count = (label, predicted) => testSet.filter(item => item.label === label && defective(item) === predicted).length;
  const tp = count(1, true), fn = count(1, false), fp = count(0, true), tn = count(0, false);
  const percent = (a, b) => b ? `${(100 * a / b).toFixed(1)}%` : "–";
  const row = (...cells) => make("tr", {}, ...cells.map((text, k) => make(k ? "td" : "th", {textContent: text})));
  const table = make("table", {}, row("", "predicted defective", "predicted good"),
    row("labelled defective", tp, fn), row("labelled good", fp, tn));
  const rates = make("p", {className: "soft", style: "margin-top:8px"});
  rates.textContent = `Recall ${percent(tp, tp + fn)}, precision ${percent(tp, tp + fp)}, `
    + `false alarm rate ${percent(fp, fp + tn)}, F1 ${(2 * tp / (2 * tp + fp + fn) || 0).toFixed(3)}.`;
  $("confusion").replaceChildren(table, rates);
  $("point").setAttribute("cx", 200 * fp / negatives);
  $("point").setAttribute("cy", 200 - 200 * tp / positives);
}

// Gallery: cards are added a screenful at a time, so thousands of images do not freeze the page.
function frame(item, {map = true, contours = true} = {}) {
  const box = make("span", {className: "frame"}, make("img", {src: item.image, alt: "", decoding: "async"}));
  if (item.map && map) box.append(make("img", {src: item.map, alt: "", className: "map"}));
  if (contours && item.regions.length + item.known.length) {
    const svg = draw("svg", {viewBox: "0 0 1000 1000", preserveAspectRatio: "none", class: "contours"});
    for (const [kind, outlines] of [["known", item.known], ["region", item.regions]]) {
      for (const outline of outlines) {
        const points = outline.map((value, k) => value + (k % 2 ? " " : ",")).join("");
        svg.append(draw("polygon", {points, class: "halo"}), draw("polygon", {points, class: kind}));
      }
    }
    box.append(svg);
  }
  return box;
}
function circle([x, y]) {  // in thousandths of the sides
  return make("span", {className: "circle", style: `left:${x / 10}%;top:${y / 10}%`});
}
function describe(button, item) {
  button.classList.toggle("defective", verdict(item) === "defective");
  button.classList.toggle("unsure", verdict(item) === "unsure");
  button.querySelector("b").textContent = verdict(item);
  button.querySelector(".confidence").textContent = `confidence ${capped(confidence(item))}`;
  const decision = decisions.get(item.name);
  button.querySelector(".mark").textContent = decision ? `marked: ${decision}` : wrong(item) ? `labelled ${item.kind}` : "";
  button.setAttribute("aria-label", `${item.name}: ${verdict(item)}, score ${digits(item.score)}`);
}
function card(item, position) {
  const body = make("span", {className: "text"},
    make("span", {className: "verdict"}, make("b"), make("span", {className: "confidence"})),
    make("span", {textContent: `score ${digits(item.score)}` + (item.kind ? ` · ${item.kind}` : "")}),
    make("span", {textContent: [item.used ? "part used for fitting" : "", item.unaligned ? "not aligned" : ""].filter(Boolean).join(", ")}),
    make("span", {className: "mark"}),
    make("span", {className: "name", title: item.name}, make("bdi", {textContent: item.name})));
  const button = make("button", {className: "item"}, make("span", {className: "thumbnail"}, frame(item)), body);
  if (!aspect) {  // that of the first image is the shape of all cards
    aspect = 1;
    const image = button.querySelector("img");
    image.addEventListener("load", () => {
      $("gallery").style.setProperty("--aspect", Math.min(2, Math.max(0.75, image.naturalWidth / image.naturalHeight)));
    });
  }
  button.addEventListener("click", () => open(position));
  describe(button, item);
  return button;
}
function more(count = 60) {
  const until = Math.min(visible.length, drawn + count), batch = document.createDocumentFragment();
  for (; drawn < until; drawn++) batch.append(card(visible[drawn], drawn));
  $("gallery").append(batch);
}
function select() {
  const wanted = $("by-verdict").value, kind = $("by-kind").value, wrongOnly = $("by-wrong").checked;
  visible = scored.filter(item => (!wanted || verdict(item) === wanted) && (!kind || item.kind === kind) && (!wrongOnly || wrong(item)));
  $("gallery").replaceChildren();
  drawn = 0;
  more();
  $("shown").textContent = `${visible.length} of ${scored.length} images, ranked by score`;
}
new IntersectionObserver(entries => { if (entries[0].isIntersecting) more(); }, {rootMargin: "800px"}).observe($("end"));

let timer = 0;
function set(value) {
  threshold = value;
  const moved = threshold !== data.threshold;
  $("number").value = digits(threshold);
  $("slider").value = 1000 * (threshold - from) / (to - from);
  $("slider").setAttribute("aria-valuetext", digits(threshold));
  $("moved").hidden = !moved;
  $("flag").textContent = `${data.command}${Number(threshold.toPrecision(9))}`;
  for (const name of ["defective", "good", "unsure"]) {
    $(`n-${name}`).textContent = scored.filter(item => verdict(item) === name).length;
  }
  $("unsure-count").hidden = !band();
  if ($("band")) $("band").style.visibility = band() ? "visible" : "hidden";
  colourBars();
  if (hasQuality) quality();
  if ($("by-verdict").value || $("by-wrong").checked) {
    clearTimeout(timer);
    timer = setTimeout(select, 120);
  } else {
    [...$("gallery").children].forEach((button, k) => describe(button, visible[k]));
  }
}

// The worst parts, at the top.
function worst() {
  scored.slice(0, 8).forEach(item => {
    const button = make("button", {className: "worst", title: item.name}, frame(item, {map: false}),
      make("span", {textContent: digits(item.score)}));
    button.setAttribute("aria-label", `${item.name}, score ${digits(item.score)}`);
    button.addEventListener("click", () => {
      let position = visible.indexOf(item);
      if (position < 0) {  // hidden by a filter
        $("by-verdict").value = $("by-kind").value = "";
        $("by-wrong").checked = false;
        select();
        position = visible.indexOf(item);
      }
      open(position);
    });
    $("worst").append(button);
  });
}

// Decisions: what the detector got wrong, for `fsad learn --from`.
function decide(decision) {
  const item = visible[current];
  if (decisions.get(item.name) === decision) decisions.delete(item.name);
  else decisions.set(item.name, decision);
  const quoted = text => `"${text.replaceAll('"', '""')}"`;
  const lines = [...decisions].map(([name, what]) => `${quoted(name)},${what}`);
  $("decisions").hidden = !decisions.size;
  $("n-decisions").textContent = decisions.size;
  $("download").href = "data:text/csv;charset=utf-8," + encodeURIComponent(["path,decision", ...lines, ""].join("\n"));
  const button = $("gallery").children[current];
  if (button) describe(button, item);
  open(current);
}

// The dialog with one image, large.
function open(position) {
  const item = visible[position];
  if (!item) return;
  current = position;
  $("big-name").textContent = item.name;
  $("big-text").textContent = `${verdict(item)}, confidence ${capped(confidence(item))}, score ${digits(item.score)}`
    + ` (threshold ${digits(threshold)})` + (item.kind ? `; labelled ${item.kind}` : "");
  $("big-frame").replaceChildren(...frame(item, {map: false}).children);
  $("big-map").replaceChildren(...(item.map ? frame(item, {contours: false}).children : []));
  $("map-figure").hidden = !item.map;
  const answer = item.answer, reference = make("img", {src: data.references[answer ? answer.reference : item.nearest], alt: ""});
  $("big-ref-frame").replaceChildren(reference);
  $("ref-caption").textContent = answer ? "Reference image with the nearest patch (circle)" : "Nearest reference image";
  if (answer) {
    $("big-frame").append(circle(answer.place));
    $("big-ref-frame").append(circle(answer.at));
  }
  const shown = $("big-frame").firstChild;
  shown.decode().then(() => {  // as large as fits, aspect ratio unchanged; the three of one height
    const room = Math.min(1320, innerWidth - 90), wide = room > 760;
    const across = wide ? (room - 36) / (item.map ? 3 : 2) : room;
    const scale = Math.min(across / shown.naturalWidth, 0.56 * innerHeight / shown.naturalHeight) * (zoomed ? 2.5 : 1);
    for (const image of [shown, $("big-map").firstChild, reference]) if (image) image.style.width = `${scale * shown.naturalWidth}px`;
  });
  $("file").hidden = !item.href;
  if (item.href) $("file").href = item.href;
  $("false-alarm").hidden = verdict(item) === "good";
  $("missed").hidden = verdict(item) === "defective";
  for (const [id, decision] of [["false-alarm", "false alarm"], ["missed", "missed"]])
    $(id).setAttribute("aria-pressed", decisions.get(item.name) === decision);
  $("previous").disabled = position === 0;
  $("next").disabled = position === visible.length - 1;
  if (!$("big").open) {
    $("big").showModal();
  }
  const drawn = [...(item.regions.length ? ["regions found"] : []), ...(item.known.length ? ["known defect (dashed)"] : []),
    ...(item.answer ? ["most anomalous patch (circle)"] : [])];
  $("big-caption").textContent = drawn.length ? `Image, ${drawn.join(", ")}` : "Image";
}
function step(by) {
  if (current + by >= drawn) more();
  open(Math.min(visible.length - 1, Math.max(0, current + by)));
}
function zoom() {
  zoomed = !zoomed;
  $("zoom").textContent = zoomed ? "Zoom out (Z)" : "Zoom in (Z)";
  open(current);
}
$("previous").onclick = () => step(-1);
$("next").onclick = () => step(1);
$("zoom").onclick = $("big-frame").onclick = $("big-map").onclick = $("big-ref-frame").onclick = zoom;
$("false-alarm").onclick = () => decide("false alarm");
$("missed").onclick = () => decide("missed");
$("close").onclick = () => $("big").close();
$("big").addEventListener("close", () => $("gallery").children[current]?.focus());
$("big").addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key.toLowerCase() === "z") zoom();
});
$("slider").addEventListener("input", event => set(from + event.target.value / 1000 * (to - from)));
$("number").addEventListener("change", event => { if (Number.isFinite(event.target.valueAsNumber)) set(event.target.valueAsNumber); });
$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText($("flag").textContent);
  } catch {  // a page opened from a file may not: select it instead
    getSelection().selectAllChildren($("flag"));
  }
};
$("reset").onclick = () => set(data.threshold);
$("maps").onchange = event => $("gallery").classList.toggle("maps", event.target.checked);
for (const id of ["by-verdict", "by-kind", "by-wrong"]) $(id).onchange = select;

if (hasLabels) {
  $("kinds").hidden = false;
  for (const kind of [...new Set(scored.map(item => item.kind))].filter(Boolean).sort())
    $("by-kind").append(make("option", {textContent: kind, value: kind}));
  $("wrongs").hidden = false;
}
if (data.unsure) $("by-verdict").append(make("option", {textContent: "unsure"}));
if (!scored.some(item => item.map)) $("show-maps").hidden = true;
if (unreadable.length) {
  $("errors").hidden = $("errors-count").hidden = false;
  $("n-error").textContent = unreadable.length;
  for (const item of unreadable) $("error-list").append(make("li", {textContent: `${item.name}: ${item.error}`}));
}
const used = scored.filter(item => item.used).length;
$("used").hidden = !used;
$("used").textContent = `Excludes ${used} image${used === 1 ? "" : "s"} of parts used for fitting.`;
// Drift: each number of the images in the order given, over the range of the good images of the fit.
function drift() {
  const {sentences, names, mean, deviation, series} = data.drift;
  for (const text of sentences) $("drift-said").append(make("p", {className: "warn", textContent: text}));
  if (!sentences.length) $("drift-said").append(make("p", {className: "soft", textContent: "Light, sharpness, colour and scores are like those of the good images of the fit."}));
  names.forEach((name, k) => {
    const values = series.map(row => row[k]), band = [mean[k] - 2 * deviation[k], mean[k] + 2 * deviation[k]];
    const low = Math.min(band[0], ...values), high = Math.max(band[1], ...values), w = 300, h = 70;
    const y = value => h - 3 - (value - low) / (high - low || 1) * (h - 6);
    const svg = draw("svg", {viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `${name} in the order of the images`});
    svg.append(draw("rect", {x: 0, width: w, y: y(band[1]), height: y(band[0]) - y(band[1]), fill: "#e3ebf5"}));
    values.forEach((value, n) => svg.append(draw("circle", {cx: (n + 0.5) / values.length * w, cy: y(value), r: values.length > 100 ? 1 : 2, fill: css("--ink")})));
    $("drift-plots").append(make("figure", {}, make("figcaption", {textContent: name}), svg));
  });
}
$("drift-count").textContent = data.drift.sentences.length ? ": changed" : ": no change noticed";
$("drift").addEventListener("toggle", () => { if (!$("drift-plots").children.length) drift(); });
if (data.drift.sentences.length) $("drift").open = true;

histogram();
worst();
if (hasQuality) roc();
set(threshold);
select();
