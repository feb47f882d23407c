/**
 * What a screen reader is told, and when: the link's changes at once, the
 * speed rarely. The page's one live region says it; nothing else is live.
 */

import { ANNOUNCE_CHANGE_RATIO, ANNOUNCE_INTERVAL_MS } from "./limits";
import type { Link } from "./link";

export interface Announcement {
  readonly text: string;
  readonly link: Link["kind"];
  readonly speed: number | null;
  readonly at_ms: number;
}

/** The next announcement, or null when there is nothing worth interrupting for. */
export function announce(
  last: Announcement | null,
  link: Link["kind"],
  speed: number | null,
  now_ms: number,
): Announcement | null {
  if (link !== (last?.link ?? "connecting")) {
    return { text: linkText(link, last !== null), link, speed: null, at_ms: now_ms };
  }
  if (link !== "live" || last === null || speed === null) return null;
  if (now_ms - last.at_ms < ANNOUNCE_INTERVAL_MS || !differs(last.speed, speed)) return null;
  return { text: `Mining speed: about ${speed.toFixed(1)} hashes per second`, link, speed, at_ms: now_ms };
}

function linkText(link: Link["kind"], again: boolean): string {
  if (link === "lost") return "Server not reachable, retrying";
  return again ? "Server reachable again" : "Connected, updating every second";
}

function differs(before: number | null, after: number): boolean {
  return before === null || Math.abs(after - before) > ANNOUNCE_CHANGE_RATIO * before;
}
