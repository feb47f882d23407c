/**
 * The page's words: writes texts into the elements of index.html.
 *
 * An element is touched only when its text changes, so that a selection and a
 * screen reader's place survive a quiet second.
 */

import { coinRate, count, decimal, speedSentence } from "./format";
import { describeLink, type Link } from "./link";
import type { Reading } from "./reading";

/** The element with this id; index.html has it, or the build is broken. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element as T;
}

export function write(id: string, text: string): void {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** The heading `#speed`, and the tab's title for when the page is out of sight. */
export function writeSpeed(value: number | null): void {
  const [before, number, after] = speedSentence(value);
  const heading = byId("speed");
  if (heading.textContent === before + number + after) return;
  const strong = document.createElement("strong");
  strong.textContent = number;
  // The number and its unit move to the next line together.
  const together = document.createElement("span");
  together.append(strong, after);
  heading.replaceChildren(before, together);
  heading.dataset.speed = value === null ? "unknown" : "known";
  document.title = value === null ? "DockerCoins" : `${number} hashes/s · DockerCoins`;
}

export function writeTotals(reading: Reading, average: number | null): void {
  write("coins", count(reading.coins));
  write("coin-rate", coinRate(reading.hashes, reading.coins));
  write("hashes", count(reading.hashes));
  write("average", average === null ? "–" : decimal(average));
}

export function writeLink(link: Link): void {
  const { label, detail } = describeLink(link);
  document.documentElement.dataset.link = link.kind;
  write("status-label", label);
  write("status-detail", detail);
}
