// SPDX-License-Identifier: Apache-2.0
// How many tasks ended in each of the last 24 hours.

import { element, number } from "./values.js";

const HOUR = 3_600_000;
const HOURS = 24;
const PAGE = 100;
const SVG = "http://www.w3.org/2000/svg"; // a name, which nothing is loaded from
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [720, 130, 34, 18];
const STATES = ["success", "failed"];

const hourOf = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export class Chart {
  /** @param load returns {rows, total} for (state, from, to, limit, signal), with times in milliseconds */
  constructor(load) {
    this.load = load;
    this.reset();
  }

  reset() {
    this.closed = new Map(); // by state and hour, the count of each hour that is over
  }

  async refresh(signal) {
    const now = Date.now();
    const current = Math.floor(now / HOUR) * HOUR;
    const hours = Array.from({ length: HOURS }, (_, place) => current - (HOURS - 1 - place) * HOUR);
    const counts = await Promise.all(
      STATES.map(async (state) => {
        const open = this.load(state, current, current + HOUR, 1, signal);
        await this.#close(state, hours.slice(0, -1).filter((hour) => !this.closed.has(`${state} ${hour}`)), signal);
        return [...hours.slice(0, -1).map((hour) => this.closed.get(`${state} ${hour}`)), (await open).total];
      }),
    );
    for (const key of this.closed.keys()) if (Number(key.split(" ")[1]) < hours[0]) this.closed.delete(key);
    this.#draw(hours, Object.fromEntries(STATES.map((state, place) => [state, counts[place]])));
  }

  /** Counts whole hours: in one request where a page has them all, else by halves. */
  async #close(state, hours, signal) {
    if (!hours.length) return;
    const { rows, total } = await this.load(state, hours[0], hours.at(-1) + HOUR, hours.length > 1 ? PAGE : 1, signal);
    if (total > rows.length && hours.length > 1) {
      const middle = hours.length >> 1;
      await this.#close(state, hours.slice(0, middle), signal);
      await this.#close(state, hours.slice(middle), signal);
      return;
    }
    for (const hour of hours) {
      const within = rows.filter((row) => Math.floor(Date.parse(row.end_date) / HOUR) * HOUR === hour).length;
      this.closed.set(`${state} ${hour}`, hours.length > 1 ? within : total);
    }
  }

  #draw(hours, counts) {
    const sums = Object.fromEntries(STATES.map((state) => [state, counts[state].reduce((sum, one) => sum + one, 0)]));
    for (const state of STATES) document.querySelector(`[data-count="${state}"]`).textContent = number(sums[state]);
    const state = JSON.stringify([hours, counts]);
    if (state === this.drawn) return;
    this.drawn = state;
    const label = `${number(sums.success)} tasks were done and ${number(sums.failed)} failed in the last 24 hours.`;
    document.getElementById("bars").replaceChildren(this.#bars(hours, counts, label));
    document.getElementById("hours").replaceChildren(
      ...hours.map((hour, place) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, hourOf.format(hour)),
          ...STATES.map((one) => element("td", { class: "number" }, number(counts[one][place]))),
        ),
      ),
    );
  }

  #bars(hours, counts, label) {
    const most = Math.max(1, ...hours.map((_, place) => counts.success[place] + counts.failed[place]));
    const [step, space] = [(WIDTH - LEFT) / HOURS, HEIGHT - BOTTOM - 8];
    const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
    svg.append(
      shape("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
      shape("text", { x: LEFT - 6, y: 14, "text-anchor": "end" }, number(most)),
      shape("text", { x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end" }, "0"),
    );
    hours.forEach((hour, place) => {
      const x = LEFT + place * step;
      let y = HEIGHT - BOTTOM;
      for (const state of STATES) {
        const height = (counts[state][place] / most) * space;
        y -= height;
        if (height) svg.append(shape("rect", { class: state, x: x + 2, y, width: step - 4, height }));
      }
      if (place % 6 !== 5) return;
      const label = { x: x + step - 2, y: HEIGHT - 4, "text-anchor": "end" };
      svg.append(shape("text", label, hourOf.format(hour)));
    });
    return svg;
  }
}
