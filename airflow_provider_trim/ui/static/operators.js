// SPDX-License-Identifier: Apache-2.0
// Which tasks wait for trims: those of the package's classes, and of subclasses, which have other names.

import { taskInstances } from "./api.js";

const OWN = ["TrimTaskStatusSensor", "TrimVideoInfoOperator", "TrimVideoOperator"];
const TRIGGERS = "airflow_provider_trim.";
const STORED = "airflow-provider-trim.operators";
const MAX_NAMES = 50;
const INTERVAL = 300_000;

export class Operators {
  /** @param given names in addition to those of the package */
  constructor(given) {
    this.names = [...new Set([...OWN, ...given, ...this.#stored()])].slice(0, MAX_NAMES);
    this.learnt = -Infinity;
  }

  #stored() {
    try {
      return [JSON.parse(localStorage.getItem(STORED))].flat().filter((name) => typeof name === "string");
    } catch {
      return [];
    }
  }

  /** Adds subclasses by what they wait with: the trigger of a deferred task is this package's. */
  async learn(signal) {
    if (Date.now() - this.learnt < INTERVAL) return;
    const { rows } = await taskInstances("", { state: "deferred", limit: 100, order_by: "-start_date" }, signal);
    this.learnt = Date.now();
    const ours = rows.filter((ti) => ti.trigger?.classpath?.startsWith(TRIGGERS)).map((ti) => ti.operator);
    this.names = [...new Set([...this.names, ...ours.filter(Boolean)])].slice(0, MAX_NAMES);
    try {
      localStorage.setItem(STORED, JSON.stringify(this.names.filter((name) => !OWN.includes(name))));
    } catch {
      // A browser that stores nothing learns them again.
    }
  }
}
