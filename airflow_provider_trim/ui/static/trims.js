// SPDX-License-Identifier: Apache-2.0
// The page "Trims". Plain modules: three tables and a chart need no framework, and so no build that would have to be trusted.

import { ApiError, log, loginPage, pageOf, pageOfDag, pageOfRun, taskInstances, xcom } from "./api.js";
import { Chart } from "./chart.js";
import { followTheme, freeLinks } from "./frame.js";
import { Operators } from "./operators.js";
import { Table } from "./table.js";
import { duration, element, inside, names, number, outside, reason, renditions, since, tick, transNos, videos, words } from "./values.js";

const INTERVAL = 10_000;
const MAX_INTERVAL = 120_000;
const MAX_REMEMBERED = 2000;
const MAX_SUGGESTED = 200;
const TYPING = 400;
const UNFINISHED = ["deferred", "running", "up_for_reschedule", "queued", "scheduled", "restarting", "up_for_retry"];

const byId = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const operators = new Operators(query.getAll("operator"));
let dag = query.get("dag") ?? "";

async function list(states, parameters, signal) {
  const page = await taskInstances(dag, { state: states, operator: operators.names, ...parameters }, signal);
  suggest(page.rows);
  return page;
}

function suggest(rows) {
  const known = new Set([...byId("dags").children].map((option) => option.value));
  for (const { dag_id } of rows) {
    if (!known.has(dag_id) && known.size < MAX_SUGGESTED) byId("dags").append(element("option", { value: dag_id }));
    known.add(dag_id);
  }
}

// --- cells ---

const remembered = new Map();

/** Asks once for what does not change any more. */
function once(ti, what, ask) {
  const key = [what, ti.id, ti.try_number, ti.state, ti.end_date].join(" ");
  if (!remembered.has(key)) {
    const answer = ask(ti);
    answer.catch(() => remembered.delete(key));
    remembered.set(key, answer);
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value);
  }
  return remembered.get(key);
}

/** Fills cells with what is asked for now and arrives later. */
async function fill(cells, answer, show) {
  for (const cell of cells) cell.textContent = "…";
  try {
    const contents = show(await answer);
    cells.forEach((cell, place) => cell.replaceChildren(contents[place] || "–"));
  } catch (error) {
    const kept = ["forbidden", "login"].includes(error.kind);
    if (!kept) cells[0].closest("tr")?.setAttribute("data-stale", ""); // asked for again at the next update
    cells.forEach((cell, place) => (cell.textContent = place ? "" : kept ? "not permitted" : "not available"));
  }
}

const td = (content, kind) => element("td", { class: kind }, content || "–");
const dagCell = (ti) => td(inside(pageOfDag(ti), ti.dag_display_name || ti.dag_id));
const taskCell = (ti) => td(inside(pageOf(ti), ti.task_display_name || ti.task_id));
const mapCell = (ti) => td(ti.map_index < 0 ? "" : words(ti.rendered_map_index ?? ti.map_index), "fixed");
const tryCell = (ti) => td(`${ti.try_number} of ${Math.max(ti.try_number, ti.max_tries + 1)}`, "fixed");

function transNoCell(ti) {
  const rendered = transNos(ti.rendered_fields?.trans_no);
  const cell = td(rendered && words(rendered), "mono");
  // TrimVideoOperator derives one where none is given, and pushes it once the trim is submitted.
  if (!rendered && "video_id" in (ti.rendered_fields ?? {})) {
    fill([cell], once(ti, "transNo", (one) => xcom(one, "trans_no")), (value) => [value && words(transNos(value))]);
  }
  return cell;
}

function stateOf(ti) {
  const state = ti.state.replaceAll("_", " ");
  return ti.state === "deferred" && ti.trigger && ti.trigger.triggerer_id === null ? `${state}, in no triggerer yet` : state;
}

function waitingCells(ti) {
  const began = ti.start_date ?? ti.trigger?.created_date ?? ti.queued_when ?? ti.scheduled_when;
  return [
    dagCell(ti), td(inside(pageOfRun(ti), ti.dag_run_id)), taskCell(ti), mapCell(ti), transNoCell(ti),
    td(stateOf(ti)), td(since(began)), tryCell(ti),
  ];
}

function failedCells(ti) {
  const why = td("", "reason");
  fill([why], once(ti, "reason", async (one) => reason(await log(one))), (text) => [text && words(text)]);
  return [dagCell(ti), taskCell(ti), mapCell(ti), transNoCell(ti), why, td(since(ti.end_date)), tryCell(ti)];
}

function poster(video) {
  return video.imageUrl && outside(String(video.imageUrl), "Poster", `Poster of ${video.videoName || video.videoId} (new tab)`);
}

function doneCells(ti) {
  const cells = [td(), td(), td("", "fixed"), td()];
  fill(cells, once(ti, "videos", async (one) => videos(await xcom(one, "return_value"))), (found) => {
    if (!found.length) return [];
    ti.videoNames = names(found);
    return [words(ti.videoNames), poster(found[0]), duration(found[0]), renditions(found[0])];
  });
  return [...cells, transNoCell(ti), dagCell(ti), taskCell(ti), mapCell(ti), td(since(ti.end_date))];
}

function matches(ti, text) {
  const parts = [ti.dag_id, ti.dag_display_name, ti.dag_run_id, ti.task_id, ti.rendered_map_index, ti.rendered_fields?.trans_no];
  return parts.flat().some((part) => String(part ?? "").toLowerCase().includes(text));
}

// --- tables and chart ---

const ended = (state) => (offset, limit, signal) => list(state, { offset, limit, order_by: "-end_date" }, signal);

async function loadWaiting(offset, limit, signal) {
  const page = await list(UNFINISHED, { offset, limit, order_by: "start_date" }, signal);
  document.querySelector('[data-count="waiting"]').textContent = number(page.total);
  return page;
}

const tables = [
  new Table("waiting", { load: loadWaiting, cells: waitingCells, matches, empty: "Nothing is waiting." }),
  new Table("failed", { load: ended("failed"), cells: failedCells, matches, empty: "Nothing has failed.", size: 10 }),
  new Table("done", { load: ended("success"), cells: doneCells, matches, empty: "Nothing is done yet." }),
];

const chart = new Chart((state, from, to, limit, signal) => {
  const last = new Date(to - 1).toISOString().replace("Z", "999Z");
  return list(state, { end_date_gte: new Date(from).toISOString(), end_date_lte: last, limit, order_by: "-end_date" }, signal);
});

// --- problems ---

const PROBLEMS = {
  login: "You are logged out.",
  forbidden: "You have no permission to read task instances.",
  missing: "There is no such DAG.",
  server: "Airflow's API server reports an error.",
  network: "Airflow's API server can't be reached.",
};

function problem(error) {
  const kind = error instanceof ApiError ? error.kind : "server";
  const text = kind === "forbidden" && dag ? `You have no permission to read the DAG ${dag}, or it does not exist.` : PROBLEMS[kind];
  const notice = [element("p", {}, text)];
  if (kind === "login") notice.push(element("p", {}, element("a", { href: loginPage(), target: "_top" }, "Log in")));
  if (kind === "server" || kind === "network") notice.push(element("p", { class: "quiet" }, words(error.message)));
  if (["login", "forbidden", "missing"].includes(kind)) {
    tables.forEach((table) => table.clear());
    byId("updated").textContent = "";
  }
  byId("data").hidden = !tables.some((table) => table.nodes.size); // what was loaded last stays, if Airflow does not respond
  if (byId("notice").textContent !== notice.map((one) => one.textContent).join("")) byId("notice").replaceChildren(...notice);
  byId("notice").hidden = false;
}

function noProblem() {
  byId("data").hidden = false;
  byId("notice").hidden = true;
  byId("notice").replaceChildren();
}

// --- updates ---

let controller = new AbortController();
let timer;
let failures = 0;

async function load(signal) {
  await operators.learn(signal);
  const outcomes = await Promise.allSettled([...tables, chart].map((part) => part.refresh(signal)));
  if (signal.aborted) return;
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

async function refresh() {
  clearTimeout(timer);
  controller.abort();
  const { signal } = (controller = new AbortController());
  try {
    await load(signal);
    if (signal.aborted) return;
    failures = 0;
    noProblem();
    byId("updated").textContent = `Updated ${new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }).format(Date.now())}`;
  } catch (error) {
    if (signal.aborted) return;
    failures += 1;
    problem(error);
  }
  tick();
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (document.visibilityState === "visible" && byId("live").checked) {
    timer = setTimeout(refresh, Math.min(MAX_INTERVAL, INTERVAL * 2 ** failures));
  }
}

function onVisibility() {
  clearTimeout(timer);
  if (document.visibilityState === "hidden") controller.abort();
  else if (byId("live").checked) refresh();
}

async function applyFilter() {
  dag = byId("dag").value.trim();
  tables.forEach((table) => table.reset(byId("text").value));
  chart.reset();
  await refresh();
  const [waiting, failed, done] = tables.map((table) => table.found?.rows.length ?? table.total);
  byId("status").textContent = `${waiting} waiting, ${failed} failed, ${done} done`;
}

let pending;

/** One event or several, such as those of the key Enter, apply the filter once. */
function onFilter(delay) {
  clearTimeout(pending);
  pending = setTimeout(applyFilter, delay);
}

byId("dag").value = dag;
byId("text").value = query.get("text") ?? "";
tables.forEach((table) => table.reset(byId("text").value));
byId("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  onFilter(0);
});
byId("dag").addEventListener("change", () => onFilter(0));
byId("text").addEventListener("input", () => onFilter(TYPING));
byId("live").addEventListener("change", () => (byId("live").checked ? refresh() : clearTimeout(timer)));
document.addEventListener("reload", refresh);
document.addEventListener("visibilitychange", onVisibility);
freeLinks();
followTheme();
refresh();
