// SPDX-License-Identifier: Apache-2.0
// The page within Airflow's UI, which shows it in an iframe of the same origin that may neither leave it nor open windows.

const outer = window.parent === window ? null : window.parent;

function follow(link, newTab) {
  const copy = outer.document.createElement("a"); // in the outer document, which the sandbox does not restrict
  copy.href = link.href;
  copy.rel = "noopener noreferrer";
  if (newTab) copy.target = "_blank";
  copy.click();
}

/** Has links lead out of the iframe. */
export function freeLinks() {
  if (!outer) return;
  const onClick = (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.button > 1) return;
    event.preventDefault();
    follow(link, link.target === "_blank" || event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey);
  };
  document.addEventListener("click", onClick);
  document.addEventListener("auxclick", onClick);
}

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // the browser keeps nothing
  }
}

/** Has the page's colours follow Airflow's; without Airflow around it, those that Airflow keeps for its user. */
export function followTheme() {
  const apply = () => {
    const shown = outer?.document.documentElement.classList;
    const chosen = shown ? ["dark", "light"].find((name) => shown.contains(name)) : stored();
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme; // as the system has it
  };
  apply();
  if (outer) new MutationObserver(apply).observe(outer.document.documentElement, { attributeFilter: ["class"] });
  else window.addEventListener("storage", apply);
}
