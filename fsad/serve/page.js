"use strict";
const $ = id => document.getElementById(id);
let detectors = [], token = sessionStorage.getItem("fsad-token") || "", items = [], queue = [], busy = false, learning = false;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
function say(text, done = false) {
  $("messages").replaceChildren(...(text ? [make("p", {className: done ? "message done" : "message", textContent: text})] : []));
}
const current = () => detectors.find(detector => detector.name === $("detector").value);
const several = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// Every answer that is no success is said in the service's own words.
async function ask(path, options = {}) {
  let answer;
  for (let turn = 0; turn < 20; turn++) {
    try {
      answer = await fetch(path, {...options, headers: token ? {Authorization: `Bearer ${token}`} : {}});
    } catch {
      throw new Error("The service does not answer. Is it still running?");
    }
    if (answer.status !== 429 && answer.status !== 503) break;  // busy: it says when to come again
    await new Promise(done => setTimeout(done, 1000 * Number(answer.headers.get("Retry-After") || 1)));
  }
  if (answer.status === 401) {
    $("login").hidden = false;
    $("token").focus();
    throw new Error(token ? "The token is not the right one." : "");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.detail || `The service answered with status ${answer.status}.`);
  return content;
}

async function start() {
  try {
    detectors = await ask("v1");
  } catch (error) {
    return say(error.message);
  }
  $("login").hidden = true;
  say("");
  const chosen = $("detector").value;
  $("detector").replaceChildren(...detectors.map(({name}) => make("option", {textContent: name, value: name})));
  if (detectors.some(({name}) => name === chosen)) $("detector").value = chosen;
  about();
  next();
}
function about() {
  const detector = current();
  if (!detector) return;
  const learned = detector.learned ? `; has learned ${detector.learned === 1 ? "once" : `${detector.learned} times`}` : "";
  $("about").textContent = `Fitted on ${detector.good} good and ${detector.defective} defective images${learned}. `
    + `Threshold ${detector.threshold.toPrecision(4)} (${detector.how}). ${detector.drift.join(" ")}`;
  bar();
}

// One image at a time: their order stays, and a page does not crowd others out.
function add(files) {
  for (const file of files) {
    const item = {file, element: make("article", {className: "item"})};
    item.element.append(make("p", {className: "name", textContent: file.name}), make("p", {className: "soft", textContent: "waiting"}));
    items.push(item);
    queue.push(item);
    $("items").append(item.element);
  }
  count();
  next();
}
async function next() {
  if (busy || !queue.length || !current()) return;
  busy = true;
  while (queue.length) {
    const item = queue.shift(), form = new FormData();
    form.append("images", item.file);
    item.detector = current().name;
    try {
      const answer = await ask(`v1/${item.detector}/predict?images=true`, {method: "POST", body: form});
      item.prediction = answer.predictions[0];
    } catch (error) {
      if (!$("login").hidden) { say(error.message); queue.unshift(item); break; }
      item.error = error.message;
      item.prediction = undefined;
    }
    show(item);
    count();
  }
  busy = false;
  count();
}
function show(item) {
  const {element, prediction, file} = item;
  if (!prediction) {
    element.replaceChildren(make("p", {className: "name", textContent: file.name}), make("p", {className: "message", textContent: item.error}));
    return;
  }
  element.className = `item ${prediction.verdict}`;
  const figure = (caption, ...layers) => make("figure", {}, make("span", {className: "frame"}, ...layers), make("figcaption", {textContent: caption}));
  const image = () => make("img", {src: prediction.image, alt: ""});
  const outlines = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  outlines.setAttribute("viewBox", `0 0 ${prediction.width} ${prediction.height}`);
  outlines.setAttribute("preserveAspectRatio", "none");
  for (const region of prediction.regions) for (const kind of ["halo", "region"]) {
    const polygon = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
    polygon.setAttribute("class", kind);
    polygon.setAttribute("points", region.contour.map(point => point.join(",")).join(" "));
    outlines.append(polygon);
  }
  const area = prediction.regions.reduce((sum, region) => sum + region.area, 0);
  const regions = prediction.regions.length ? `${several(prediction.regions.length, "region")}, ${area} pixels` : "no region";
  element.replaceChildren(
    make("div", {className: "line"}, make("b", {textContent: prediction.verdict}),
      make("span", {className: "number", textContent: `score ${prediction.score.toPrecision(4)}`}),
      make("span", {className: "number", textContent: `confidence ${(Math.floor(100 * prediction.confidence) / 100).toFixed(2)}`})),
    make("p", {className: "name", textContent: file.name}),
    make("div", {className: "pair"}, figure(regions, image(), outlines),
      figure("anomaly map", image(), ...(prediction.map ? [make("img", {src: prediction.map, alt: "", className: "map"})] : []))));
  if (prediction.drift.length) element.append(make("p", {className: "soft", textContent: `The latest images differ from those of the fit: ${prediction.drift.join(", ")}.`}));
  if (current().can_learn) {
    const marks = make("div", {className: "marks"});
    const offered = {good: ["missed"], defective: ["false alarm"], unsure: ["false alarm", "missed"]}[prediction.verdict];
    for (const mark of offered) {
      const button = make("button", {textContent: {missed: "Missed: it is defective", "false alarm": "False alarm: it is good"}[mark]});
      button.setAttribute("aria-pressed", "false");
      button.onclick = () => {
        item.mark = item.mark === mark ? undefined : mark;
        for (const [k, other] of [...marks.children].entries()) other.setAttribute("aria-pressed", String(item.mark === offered[k]));
        bar();
      };
      marks.append(button);
    }
    element.append(marks);
  }
}
function count() {
  const of = verdict => items.filter(item => item.prediction && item.prediction.verdict === verdict).length;
  $("counts").hidden = !items.length;
  for (const verdict of ["defective", "good", "unsure"]) $(`n-${verdict}`).textContent = of(verdict);
  $("unsure-count").hidden = !of("unsure");
  $("waiting").textContent = queue.length ? `${several(queue.length, "image")} to go` : "";
  bar();
}
const marked = () => items.filter(item => item.mark && item.detector === $("detector").value);
function bar() {
  const chosen = marked(), detector = current();
  $("bar").hidden = !detector || !detector.can_learn || !(chosen.length || detector.learned);
  $("marked").textContent = chosen.length ? `${several(chosen.length, "correction")} marked` : "";
  $("teach").disabled = busy || learning;
  for (const element of document.querySelectorAll(".teaching")) element.hidden = !chosen.length;
  $("undo").hidden = !detector || !detector.learned;
}

// After learning, what is on the page is scored again, to see what changed.
async function change(path, body, told) {
  const name = $("detector").value;
  learning = $("teach").disabled = $("undo").disabled = true;
  say("Learning: this takes some seconds.", true);
  try {
    await ask(`v1/${name}/${path}`, {method: "POST", body});
    detectors = await ask("v1");
    about();
    say(told, true);
    for (const item of items.filter(item => item.prediction && item.detector === name)) {
      item.mark = undefined;
      queue.push(item);
    }
  } catch (error) {
    say(error.message);
  }
  learning = $("undo").disabled = false;
  count();
  next();
}
$("teach").onclick = () => {
  const form = new FormData(), chosen = marked();
  for (const item of chosen) form.append(item.mark === "missed" ? "defect" : "good", item.file);
  if ($("by").value) form.append("by", $("by").value);
  change("learn", form, `Learned from ${several(chosen.length, "correction")}. The images here are scored again.`);
};
$("undo").onclick = () => change("undo", undefined, "Forgotten. The images here are scored again.");
$("detector").onchange = () => { say(""); about(); };
$("clear").onclick = () => { items = []; queue = []; $("items").replaceChildren(); say(""); count(); };
$("files").onchange = event => { add(event.target.files); event.target.value = ""; };
$("login").onsubmit = event => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("fsad-token", token);
  start();
};
for (const kind of ["dragenter", "dragover"]) addEventListener(kind, event => { event.preventDefault(); $("drop").classList.add("over"); });
for (const kind of ["dragleave", "drop"]) addEventListener(kind, event => { event.preventDefault(); $("drop").classList.remove("over"); });
addEventListener("drop", event => add(event.dataTransfer.files));
$("by").value = localStorage.getItem("fsad-by") || "";
$("by").onchange = () => localStorage.setItem("fsad-by", $("by").value);
start();
