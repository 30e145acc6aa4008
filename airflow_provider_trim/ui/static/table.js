// SPDX-License-Identifier: Apache-2.0
// A table of task instances: one page of it at a time, from the server, or what a search through its pages has found.

import { element, number } from "./values.js";

const SEARCH_SIZE = 100;
const SEARCH_STEP = 2000;
/** Up to so many tasks, a search is repeated at each update. */
const LIVE_SEARCH = 500;

export class Table {
  /**
   * @param id of the section that the table is in
   * @param load returns {rows, total} for (offset, limit, signal)
   * @param cells returns the cells of a row
   * @param matches whether a row has the text searched for, which is in lower case
   * @param empty what to say where there is none
   * @param size rows of a page
   */
  constructor(id, { load, cells, matches, empty, size = 25 }) {
    Object.assign(this, { load, cells, matches, empty, size, text: "", total: 0 });
    this.section = document.getElementById(id);
    this.body = this.section.querySelector("tbody");
    this.columns = this.section.querySelectorAll("thead th").length;
    this.nodes = new Map();
    this.reset();
    this.#makePager();
    this.#say("Loading…");
    this.section.setAttribute("aria-busy", "true");
  }

  /** Begins at the first page. */
  reset(text = this.text) {
    this.text = text.trim().toLowerCase();
    this.offset = 0;
    this.limit = SEARCH_STEP;
    this.found = null;
  }

  /** Loads what is shown. */
  async refresh(signal) {
    this.signal = signal;
    if (this.text) {
      if (!this.found || this.total <= LIVE_SEARCH) await this.#search(signal);
    } else {
      await this.#loadPage(signal);
    }
    this.section.setAttribute("aria-busy", "false");
  }

  /** Forgets what is shown: the user may not see it, or not any more. */
  clear() {
    this.reset();
    this.total = 0;
    this.nodes.clear();
    this.body.replaceChildren();
    this.pager.hidden = true;
  }

  async #loadPage(signal) {
    let page = await this.load(this.offset, this.size, signal);
    if (!page.rows.length && page.total && this.offset) {
      this.offset = Math.floor((page.total - 1) / this.size) * this.size;
      page = await this.load(this.offset, this.size, signal);
    }
    this.total = page.total;
    this.#show(page.rows, page.total, `of ${number(page.total)}`);
  }

  async #search(signal) {
    const found = [];
    let searched = 0;
    do {
      const page = await this.load(searched, SEARCH_SIZE, signal);
      this.total = page.total;
      found.push(...page.rows.filter((row) => this.matches(row, this.text)));
      searched += page.rows.length || SEARCH_SIZE;
      this.found = { rows: found, searched: Math.min(searched, this.total) };
      this.#showFound();
    } while (searched < Math.min(this.total, this.limit));
  }

  #showFound() {
    const { rows, searched } = this.found;
    const where = `of ${number(rows.length)} found in ${number(searched)} of ${number(this.total)}`;
    this.#show(rows.slice(this.offset, this.offset + this.size), rows.length, where);
    this.further.hidden = searched >= this.total || searched < this.limit;
  }

  #makePager() {
    const button = (text, action) => {
      const made = element("button", { type: "button" }, text);
      made.addEventListener("click", action);
      return made;
    };
    this.previous = button("Previous", () => this.#turn(-this.size));
    this.next = button("Next", () => this.#turn(this.size));
    this.further = button("Search further", () => this.#reload(() => (this.limit += SEARCH_STEP)));
    this.place = element("span");
    this.title = this.section.querySelector("h2").textContent;
    this.pager = element("nav", { class: "pager", "aria-label": `Pages of ${this.title}` }, this.previous, this.next, this.place, this.further);
    this.pager.hidden = this.further.hidden = true;
    this.section.append(this.pager);
  }

  #turn(by) {
    this.offset = Math.max(0, this.offset + by);
    this.turned = true;
    if (this.text) this.#showFound();
    else this.#reload(() => {});
  }

  #reload(change) {
    change();
    this.found = null;
    this.section.setAttribute("aria-busy", "true");
    this.section.dispatchEvent(new CustomEvent("reload", { bubbles: true }));
  }

  #say(text) {
    this.nodes.clear();
    this.body.replaceChildren(element("tr", {}, element("td", { class: "quiet", colspan: this.columns }, text)));
  }

  #show(rows, total, where) {
    const last = this.offset + rows.length;
    this.#enable(this.offset > 0, last < total);
    this.further.hidden = true;
    this.pager.hidden = total <= this.size && !this.text;
    const place = rows.length ? `${number(this.offset + 1)}–${number(last)} ${where}` : where.replace(/^of /, "");
    if (this.place.textContent !== place) this.place.textContent = place;
    if (this.turned) document.getElementById("status").textContent = `${this.title}: ${place}`;
    this.turned = false;
    if (rows.length) this.#arrange(rows);
    else this.#say(this.text ? "Nothing found." : this.empty);
  }

  /** A button that ends has the other one take the focus. */
  #enable(previous, next) {
    const focused = document.activeElement;
    this.previous.disabled = !previous;
    this.next.disabled = !next;
    if (focused === this.previous && !previous && next) this.next.focus();
    if (focused === this.next && !next && previous) this.previous.focus();
  }

  /** Rows that are as they were stay where they are, with the focus that one of them may have. */
  #arrange(rows) {
    const nodes = new Map();
    for (const row of rows) {
      const state = JSON.stringify([row.state, row.try_number, row.start_date, row.end_date, row.trigger, row.rendered_fields]);
      let node = this.nodes.get(row.id);
      if (node?.state !== state || "stale" in node.tr.dataset) node = this.#replace(node, { state, tr: element("tr", {}, ...this.cells(row)) });
      nodes.set(row.id, node);
    }
    this.nodes = nodes;
    const wanted = new Set([...nodes.values()].map((node) => node.tr));
    for (const tr of [...this.body.children]) if (!wanted.has(tr)) tr.remove();
    let place = this.body.firstElementChild;
    for (const tr of wanted) {
      if (tr === place) place = place.nextElementSibling;
      else this.body.insertBefore(tr, place);
    }
  }

  #replace(old, made) {
    if (!old) return made;
    const focused = [...old.tr.querySelectorAll("a, button")].indexOf(document.activeElement);
    old.tr.replaceWith(made.tr);
    if (focused >= 0) made.tr.querySelectorAll("a, button")[focused]?.focus();
    return made;
  }
}
