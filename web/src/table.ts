/**
 * The table: the same samples as the chart, newest first, for whoever prefers text.
 *
 * It is a snapshot, taken when it is opened and on request. Rows that moved
 * every second could not be read.
 */

import { clock, count, decimal } from "./format";
import { speeds, type Sample, type Series } from "./series";

/** Connects the table's elements to wherever the current series lives. */
export function connectTable(details: HTMLDetailsElement, current: () => Series): void {
  const fill = () => fillTable(details, current());
  details.addEventListener("toggle", () => details.open && fill());
  details.querySelector("button")?.addEventListener("click", fill);
}

function fillTable(details: HTMLDetailsElement, series: Series): void {
  const all = speeds(series);
  const rows = series.flatMap((sample, i) => (sample.kind === "copy" ? [] : [row(sample, all[i] ?? null)]));
  details.querySelector("tbody")?.replaceChildren(...rows.reverse());
  const taken = details.querySelector("[data-taken]");
  if (taken) taken.textContent = takenText(series, rows.length);
}

function takenText(series: Series, rows: number): string {
  const newest = series.at(-1);
  if (newest === undefined) return "No answer yet.";
  return `${count(rows)} ${rows === 1 ? "sample" : "samples"} up to ${clock(newest.now)}, newest first.`;
}

function row(sample: Sample, speed: number | null): HTMLTableRowElement {
  const element = document.createElement("tr");
  const time = document.createElement("th");
  time.scope = "row";
  time.textContent = clock(sample.now);
  const cells =
    sample.kind === "missed"
      ? ["no answer", "–", "–"]
      : [speed === null ? "unknown" : decimal(speed), count(sample.hashes), count(sample.coins)];
  element.append(time, ...cells.map(cell));
  return element;
}

function cell(text: string): HTMLTableCellElement {
  const element = document.createElement("td");
  element.textContent = text;
  return element;
}
