// SPDX-License-Identifier: Apache-2.0
// What others have written, as text and as links. Nothing here, or elsewhere, makes markup of it.

const MAX_TEXT = 300;
const MAX_LISTED = 3;

// As links/trim.py has it: a URL, with or without its scheme, or a host and a path; neither "/p.jpg" nor "N/A".
const WEB_URL = /^(?:https?:)?\/\/[^/?#@\s]+(?:[/?#]|$)/i;
const HOST_AND_PATH = /^(?:(?:[\p{L}\p{N}_-]+\.)+\p{L}[\p{L}\p{N}_-]+|\d+(?:\.\d+){3})(?::\d{1,5})?[/?#]/u;

/** Makes an element of texts and elements. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Returns a text, shortened, whose direction of writing has no effect on what is around it. */
export function words(text) {
  const whole = String(text);
  return element("bdi", {}, whole.length > MAX_TEXT ? `${whole.slice(0, MAX_TEXT)}…` : whole);
}

/** Returns a link to a page of Airflow. */
export const inside = (href, text) => element("a", { href, target: "_top" }, words(text));

/** Returns a link to where a service's text leads, or null if that is not a web page. */
export function outside(address, text, label) {
  const given = address.trim();
  const whole = HOST_AND_PATH.test(given) ? `https://${given}` : given;
  if (!WEB_URL.test(whole)) return null;
  try {
    const url = new URL(whole.startsWith("//") ? `https:${whole}` : whole);
    return element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", "aria-label": label }, text);
  } catch {
    return null;
  }
}

export const number = (value) => new Intl.NumberFormat().format(value);

function listed(texts) {
  const more = texts.length - MAX_LISTED;
  return texts.slice(0, MAX_LISTED).join(", ") + (more > 0 ? ` and ${number(more)} more` : "");
}

/** Returns a task's transNos as its template fields have them, or "" where they are not rendered or derived. */
export function transNos(value) {
  if (value === null || value === undefined || value === "None") return "";
  return Array.isArray(value) ? listed(value.map(String)) : String(value);
}

/** Returns the videos among a task's results. */
export function videos(result) {
  return [result].flat().filter((one) => one && typeof one === "object" && ("videoId" in one || "videoName" in one));
}

export const names = (found) => listed(found.map((video) => String(video.videoName || video.videoId)));

export function duration(video) {
  const seconds = Math.round(Number(video.videoDuration));
  if (!Number.isFinite(seconds) || seconds < 0 || video.videoDuration === "") return "";
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours, ...rest] = parts.map((part, place) => (place ? String(part).padStart(2, "0") : String(part)));
  return hours === "0" ? rest.join(":").replace(/^0/, "") : [hours, ...rest].join(":");
}

export function renditions(video) {
  const all = Array.isArray(video.videoResolutions) ? video.videoResolutions.filter(Boolean) : [];
  const sizes = new Set(all.map((one) => `${Number(one.width)}×${Number(one.height)}`));
  return [...sizes].slice(0, 8).join(", ");
}

const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function ago(moment) {
  const seconds = Math.max(0, (Date.now() - moment) / 1000);
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return relative.format(-Math.floor(seconds / length), unit);
}

/** Returns a time as what has passed since; `tick` keeps it true. */
export function since(text) {
  const moment = Date.parse(text ?? "");
  if (Number.isNaN(moment)) return "–";
  return element("time", { datetime: new Date(moment).toISOString(), title: absolute.format(moment) }, ago(moment));
}

export function tick() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = ago(Date.parse(time.getAttribute("datetime")));
    if (time.textContent !== text) time.textContent = text;
  }
}

const ERROR = /(Error|Exception|Timeout)\b.*: /;

/** Returns why an attempt failed, from its log: its last exception, else its last error. */
export function reason(lines) {
  const raised = lines.findLast((line) => Array.isArray(line?.error_detail) && line.error_detail.length)?.error_detail[0];
  if (raised) return `${raised.exc_type}: ${raised.exc_value}`;
  const line = lines.findLast((one) => ["error", "critical"].includes(one?.level) || (typeof one === "string" && ERROR.test(one)));
  return String(line?.event ?? line ?? "");
}
