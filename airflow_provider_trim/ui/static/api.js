// SPDX-License-Identifier: Apache-2.0
// Airflow's REST API, in the session of whoever has the page open: the browser sends the cookie, and Airflow decides.

export const BASE = new URL("../", document.baseURI);
const API = new URL("api/v2/", BASE);
const TIMEOUT = 60_000;
const AT_A_TIME = 4;

/** Why there is no answer: "login", "forbidden", "missing", "server" or "network". */
export class ApiError extends Error {
  constructor(kind, detail) {
    super(detail);
    this.kind = kind;
  }
}

let running = 0;
const queue = [];

async function oneOfFew(work) {
  if (running >= AT_A_TIME) await new Promise((resolve) => queue.push(resolve));
  else running += 1;
  try {
    return await work();
  } finally {
    if (queue.length) queue.shift()();
    else running -= 1;
  }
}

function kindOf(status, detail) {
  if (status === 401 || detail === "Invalid JWT token") return "login";
  return { 403: "forbidden", 404: "missing" }[status] ?? "server";
}

async function request(url, signal) {
  let response;
  try {
    response = await fetch(url, {
      headers: { Accept: "application/json" },
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)].filter(Boolean)),
    });
    const body = await response.json().catch(() => undefined);
    if (response.ok && body !== undefined) return body;
    const detail = typeof body?.detail === "string" ? body.detail : "";
    throw new ApiError(kindOf(response.status, detail), `HTTP ${response.status} ${detail}`.trim());
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    throw new ApiError("network", String(error?.message ?? error));
  }
}

/** Returns the JSON of a path, given in parts, below api/v2. A parameter may be a list. */
export async function get(parts, parameters = {}, signal = undefined) {
  const url = new URL(parts.map(encodeURIComponent).join("/"), API);
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== undefined && one !== "") url.searchParams.append(name, one);
  }
  return oneOfFew(() => {
    signal?.throwIfAborted();
    return request(url, signal);
  });
}

/** Returns a page of the task instances that the user may read. */
export async function taskInstances(dag, parameters, signal) {
  const found = await get(["dags", dag || "~", "dagRuns", "~", "taskInstances"], parameters, signal);
  return { rows: found.task_instances, total: found.total_entries };
}

const instance = (ti) => ["dags", ti.dag_id, "dagRuns", ti.dag_run_id, "taskInstances", ti.task_id];

/** Returns an XCom of a task, or undefined where it has none. */
export async function xcom(ti, key) {
  try {
    const { value } = await get([...instance(ti), "xcomEntries", key], { map_index: ti.map_index });
    try {
      return typeof value === "string" ? JSON.parse(value) : value; // the store's text, in some versions
    } catch {
      return value;
    }
  } catch (error) {
    if (error.kind === "missing") return undefined;
    throw error;
  }
}

/** Returns the lines of a task's last attempt. */
export async function log(ti) {
  const found = await get([...instance(ti), "logs", ti.try_number], { map_index: ti.map_index, full_content: false });
  return Array.isArray(found.content) ? found.content : [];
}

/** Where a task is shown in Airflow's UI. */
export function pageOf(ti) {
  const parts = ["dags", ti.dag_id, "runs", ti.dag_run_id, "tasks", ti.task_id];
  if (ti.map_index >= 0) parts.push("mapped", ti.map_index);
  return new URL(parts.map(encodeURIComponent).join("/"), BASE).href;
}

export const pageOfDag = (ti) => new URL(`dags/${encodeURIComponent(ti.dag_id)}`, BASE).href;
export const pageOfRun = (ti) => new URL(`runs/${encodeURIComponent(ti.dag_run_id)}`, `${pageOfDag(ti)}/`).href;

/** Where one logs in, and comes back from. */
export function loginPage() {
  const url = new URL("auth/login", API);
  url.searchParams.set("next", (window.parent === window ? window : window.parent).location.href);
  return url.href;
}
