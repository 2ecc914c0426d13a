"use strict";
// The page asks /nexus/status once a second and draws what it is told. All text goes in as text, never as markup.

const PERIOD_MS = 1000, HIDDEN_MS = 10000, POINTS = 120;
const SVG = "http://www.w3.org/2000/svg";
const $ = id => document.getElementById(id);
const points = []; // {rate, failures, p50, p99, vid}; the newest last
let before = null; // the status before
const TOKEN = "nexus-token"; // in the tab's own storage, gone when it is closed
let paused = false, locked = false, timer = 0, failures = 0;

function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? {...more, "Authorization": "Bearer " + token} : {...more};
}

function duration(us) {
  if (us === null) return "–";
  if (us === Infinity) return "> 10 s";
  if (us < 1000) return us + " µs";
  return us < 1e6 ? +(us / 1000).toPrecision(3) + " ms" : +(us / 1e6).toPrecision(3) + " s";
}

// Of what is counted in steps.
function bound(us) {
  return us === null || us === Infinity ? duration(us) : "≤ " + duration(us);
}

function mib(bytes) {
  return bytes < 1 << 30 ? (bytes / (1 << 20)).toFixed(1) + " MiB" : +(bytes / (1 << 30)).toFixed(1) + " GiB";
}

// The bound that a share q of the inferences kept; null: there were none.
function quantile(counts, bounds, q) {
  const total = counts.reduce((a, b) => a + b, 0);
  let sum = 0;
  if (!total) return null;
  for (let i = 0; i < bounds.length; i++) {
    sum += counts[i];
    if (sum >= q * total) return bounds[i];
  }
  return Infinity;
}

function point(status) {
  const now = status.traffic, last = before && before.uptime_ms < status.uptime_ms ? before : null;
  if (!last) return null; // the first one, or the node began anew
  const seconds = (status.uptime_ms - last.uptime_ms) / 1000;
  const counts = now.counts.map((count, i) => count - last.traffic.counts[i]);
  return {
    rate: (now.rows - last.traffic.rows) / seconds,
    failures: (now.failure - last.traffic.failure) / seconds,
    p50: quantile(counts, now.bounds_us, 0.5),
    p99: quantile(counts, now.bounds_us, 0.99),
    vid: status.vid,
  };
}

function cell(content, kind) {
  const td = document.createElement("td");
  if (kind) td.className = kind;
  td.append(content);
  return td;
}

// Rows change only where they differ: a reader's place in a table is not lost every second.
function fill(id, rows) {
  const body = $(id).tBodies[0], shown = JSON.stringify(rows);
  if (body.dataset.shown === shown) return;
  body.dataset.shown = shown;
  body.replaceChildren(...rows.map(cells => {
    const tr = document.createElement("tr");
    tr.append(...cells.map(c => Array.isArray(c) ? cell(c[0], c[1]) : cell(c)));
    const first = document.createElement("th"); // what a reader says before each cell of the row
    first.scope = "row";
    first.append(...tr.firstChild.childNodes);
    tr.firstChild.replaceWith(first);
    return tr;
  }));
}

function mark(good, text) {
  return [(good ? "✓ " : "✗ ") + text, good ? "good" : "bad"];
}

function showTables(status) {
  const held = new Map(status.replicas.map(r => [r.node, r]));
  fill("members", status.members.map(m => {
    const r = held.get(m.node);
    const memory = r && !r.error ? mib(r.memory_used_bytes) + " of " + mib(r.memory_limit_bytes) : "–";
    return [String(m.node), m.tier, m.shard === null ? "spare" : String(m.shard), mark(m.state === "alive", m.state),
            [String(m.queued), "number"], [memory, "number"], m.host];
  }));
  fill("shards", status.shards.map(s => [String(s.shard), s.tier, s.alive + " of " + s.members,
                                         mark(s.adequate, s.adequate ? "yes" : "fewer than min_nodes")]));
  fill("views", status.changes.slice().reverse().map(c => [
    String(c.vid), new Date(c.at_ms).toLocaleTimeString(), [String(c.members), "number"],
    [c.took_us ? duration(c.took_us) : "–", "number"],
    [c.cause, "words"]]));
  const silent = status.replicas.filter(r => r.error).map(r => "node " + r.node + " gave no list: " + r.error);
  $("silent").textContent = silent.join("; ");
}

function modelsOf(status) {
  const models = new Map();
  for (const r of status.replicas)
    for (const m of r.models) {
      const name = m.name || String(m.tag);
      const known = models.get(name);
      if (!known) models.set(name, {...m, name, shard: r.shard, nodes: [r.node], ready: m.state === "ready"});
      else {
        known.nodes.push(r.node);
        known.queries += m.queries;
        known.ready = known.ready && m.state === "ready";
      }
    }
  return [...models.values()].sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
}

function showModels(status) {
  const models = modelsOf(status), select = $("model"), names = models.map(m => m.name);
  fill("models", models.map(m => [m.name, String(m.version), String(m.shard), (m.nodes.length > 1 ? "nodes " : "node ") + m.nodes.sort((a, b) => a - b).join(", "),
                                  mark(m.ready, m.ready ? "ready" : "loading"), m.device, [mib(m.memory_bytes), "number"],
                                  [m.queries.toLocaleString(), "number"]]));
  if (select.dataset.names === names.join("\n")) return;
  const chosen = select.value;
  select.dataset.names = names.join("\n");
  select.replaceChildren(...names.map(name => new Option(name)));
  if (names.includes(chosen)) select.value = chosen;
}

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text) element.textContent = text;
  return element;
}

// The least of 2, 4, 10, 20, 40, 100 … that is not below: its half is as round.
function round(value) {
  const ten = 10 ** Math.floor(Math.log10(value));
  return ten * [1, 2, 4, 10].find(step => step * ten >= value * 0.999);
}

// One line for each of `keys`; null is a gap, Infinity the top. A line upright where the view changed. The top is at
// `least` or above.
function plot(id, keys, words, least) {
  const values = points.flatMap(p => keys.map(k => p[k])).filter(v => v !== null && v !== Infinity);
  const top = round(Math.max(...values, least)), parts = [];
  const x = i => 60 + (540 * (POINTS - points.length + i)) / (POINTS - 1);
  const y = v => 140 - 130 * Math.min(v / top, 1);
  for (const part of [0, 0.5, 1]) {
    parts.push(svg("line", {x1: 60, x2: 600, y1: y(part * top), y2: y(part * top)}));
    parts.push(svg("text", {x: 52, y: y(part * top) + 4, "text-anchor": "end"}, part ? words(part * top) : "0"));
  }
  for (const [i, text, anchor] of [[0, "2 min ago", "start"], [POINTS / 2, "1 min", "middle"], [POINTS - 1, "now", "end"]])
    parts.push(svg("text", {x: 60 + (540 * i) / (POINTS - 1), y: 158, "text-anchor": anchor}, text));
  points.forEach((p, i) => {
    if (!i || p.vid === points[i - 1].vid) return;
    parts.push(svg("line", {x1: x(i), x2: x(i), y1: 10, y2: 140, "class": "change"}));
    parts.push(svg("text", {x: x(i) - 4, y: 20, "text-anchor": "end"}, "view " + p.vid));
  });
  for (const key of keys) {
    let d = "", pen = "M";
    points.forEach((p, i) => {
      if (p[key] === null) pen = "M";
      else {
        d += pen + x(i).toFixed(1) + " " + y(p[key]).toFixed(1);
        if (pen === "M") d += "h0.1"; // so that a lone point is seen
        pen = "L";
      }
    });
    parts.push(svg("path", {d, "class": key}));
  }
  $(id).replaceChildren(...parts);
}

function showFigures(status) {
  const p = point(status);
  $("vid").textContent = status.vid || "forming";
  $("members-count").textContent = status.members.length;
  if (!p) return;
  points.push(p);
  if (points.length > POINTS) points.shift();
  $("rate").textContent = p.rate.toFixed(1);
  $("failures").textContent = p.failures.toFixed(1);
  $("failures").className = p.failures > 0 ? "bad" : "";
  $("p50").textContent = bound(p.p50);
  $("p99").textContent = bound(p.p99);
  plot("rate-plot", ["rate"], v => v < 10 ? v.toFixed(1) : v.toFixed(0), 2);
  plot("latency-plot", ["p50", "p99"], v => duration(Math.round(v)), 1000);
  $("rate-plot").setAttribute("aria-label", "now " + p.rate.toFixed(1) + " photos per second");
  $("latency-plot").setAttribute("aria-label", "now p50 " + bound(p.p50) + ", p99 " + bound(p.p99));
}

function show(status) {
  $("who").textContent = "node " + status.node + ", " + status.version;
  const ready = $("ready"), words = status.ready ? "ready" : status.vid ? "takes no requests" : "the group forms";
  if (ready.textContent !== words) ready.textContent = words;
  document.title = "nexus node " + status.node + ": " + words;
  ready.className = "pill " + (status.ready ? "good" : "bad");
  if (before && before.vid !== status.vid && status.changes.length) {
    const change = status.changes[status.changes.length - 1];
    $("news").textContent = "View " + change.vid + ": " + change.cause;
  }
  showFigures(status);
  showTables(status);
  showModels(status);
  before = status;
}

function showAlert(words) {
  $("alert").hidden = !words;
  if ($("alert").textContent !== words) $("alert").textContent = words;
}

// No token, or none that will do: asked for one, and not asking the node again until there is another.
function lock(words) {
  const opens = $("login").hidden;
  locked = true;
  $("login").hidden = false;
  $("ready").textContent = "locked";
  $("ready").className = "pill bad";
  showAlert(words);
  if (opens) $("token").focus();
}

function unlock() {
  if ($("login").contains(document.activeElement)) $("main").focus(); // what is hidden must not keep the focus
  $("login").hidden = true;
  $("forget").hidden = !sessionStorage.getItem(TOKEN);
}

function useToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
  $("token").value = "";
  $("forget").hidden = !token;
  locked = false;
  turn();
}

async function turn() {
  clearTimeout(timer);
  try {
    const reply = await fetch("/nexus/status", {cache: "no-store", headers: headers(), signal: AbortSignal.timeout(5000)});
    if (reply.status === 401 || reply.status === 403) {
      lock("This node does not tell how the group is: " + (await reply.json()).message);
      return;
    }
    if (!reply.ok) throw new Error("status " + reply.status);
    show(await reply.json());
    failures = 0;
    showAlert("");
    unlock();
  } catch (error) {
    if (++failures >= 2) {
      $("ready").textContent = "no answer";
      $("ready").className = "pill bad";
      showAlert("The node does not answer (" + error.message + "). What is shown is what it said last.");
    }
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (!paused && !locked) timer = setTimeout(turn, document.hidden ? HIDDEN_MS : PERIOD_MS);
}

// --- a photo ------------------------------------------------------------------------------------------

function say(...parts) {
  $("answer").replaceChildren(...parts);
}

function preview(file) {
  const image = new Image();
  image.alt = "the photo " + file.name;
  image.src = URL.createObjectURL(file);
  image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
  return image;
}

// A recipe without softmax answers with the model's own output, which is no probability: shown as it is.
function categories(rows) {
  const list = document.createElement("ol"), shares = rows.every(r => r.probability >= 0 && r.probability <= 1);
  for (const row of rows) {
    const item = document.createElement("li"), meter = document.createElement("meter");
    item.append(row["class"] + " — " + (shares ? (100 * row.probability).toFixed(1) + " % " : row.probability.toFixed(3)));
    meter.value = row.probability;
    meter.setAttribute("aria-hidden", "true");
    if (shares) item.append(meter);
    list.append(item);
  }
  return list;
}

async function ask(file) {
  const model = $("model").value, begun = performance.now();
  if (!model) {
    say("No model is installed.");
    return;
  }
  say(preview(file), "asking …");
  try {
    const reply = await fetch("/predictions/" + encodeURIComponent(model), {
      method: "POST", body: file, headers: headers({"Content-Type": file.type || "application/octet-stream"})});
    const told = await reply.json();
    if (!reply.ok) throw new Error(told.message || "status " + reply.status);
    const took = document.createElement("p");
    took.className = "quiet";
    took.textContent = "answered in " + (performance.now() - begun).toFixed(0) + " ms";
    const list = document.createElement("div");
    list.append(categories(told), took);
    say(preview(file), list);
  } catch (error) {
    say(preview(file), "Not answered: " + error.message);
  }
}

function start() {
  const drop = $("drop");
  $("pause").onclick = () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    schedule();
  };
  document.onvisibilitychange = schedule;
  $("login").onsubmit = event => {
    event.preventDefault();
    useToken($("token").value.trim());
  };
  $("forget").onclick = () => useToken("");
  $("ask").onsubmit = event => event.preventDefault();
  $("photo").onchange = () => $("photo").files.length && ask($("photo").files[0]);
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, event => {
      event.preventDefault(); // a photo beside the field must not replace the page
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) ask(event.dataTransfer.files[0]);
    });
  turn();
}

start();
