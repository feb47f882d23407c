/**
 * The link: whether the server answers, and since when it does not.
 */

import { clock } from "./format";
import type { Outcome } from "./poll";

export type Link =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly since_s: number; readonly reason: string };

/** The link after one more poll, at `now_s` of the browser's clock. */
export function follow(link: Link, outcome: Outcome, now_s: number): Link {
  if (outcome.kind === "reading") return { kind: "live" };
  const since_s = link.kind === "lost" ? link.since_s : now_s;
  return { kind: "lost", since_s, reason: outcome.reason };
}

/** What the status says: a word or two, and the detail beside it. */
export function describeLink(link: Link): { label: string; detail: string } {
  switch (link.kind) {
    case "connecting":
      return { label: "Connecting", detail: "" };
    case "live":
      return { label: "Live", detail: "" };
    case "lost":
      return {
        label: "Server not reachable, retrying",
        detail: `since ${clock(link.since_s)} (${link.reason})`,
      };
  }
}
