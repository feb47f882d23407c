/**
 * The poll: asks the server once a second, one question at a time, for ever.
 *
 * Owns when to ask and what counts as a failure. What an answer means for the
 * page is the caller's business.
 */

import { POLL_INTERVAL_MS, POLL_TIMEOUT_MS } from "./limits";
import { NotAReading, parseReading, type Reading } from "./reading";

export type Outcome =
  | { readonly kind: "reading"; readonly reading: Reading }
  | { readonly kind: "failure"; readonly reason: string };

/** Asks once; rejects when there is no usable answer. */
export type Ask = () => Promise<Reading>;

/** Polls until `stop` is aborted. A slow answer delays the next poll, it never overlaps it. */
export async function poll(
  ask: Ask,
  deliver: (outcome: Outcome) => void,
  stop?: AbortSignal,
): Promise<void> {
  let due_ms = performance.now();
  while (!stop?.aborted) {
    deliver(await attempt(ask));
    due_ms = nextDue(due_ms, performance.now());
    await sleep(due_ms - performance.now());
  }
}

/**
 * The next tick of the one-second grid. Ticks that went by while an answer was
 * awaited are skipped, not made up for, and timer overshoot does not add up.
 */
export function nextDue(due_ms: number, now_ms: number): number {
  const ticks = Math.floor((now_ms - due_ms) / POLL_INTERVAL_MS) + 1;
  return due_ms + Math.max(ticks, 1) * POLL_INTERVAL_MS;
}

/** Asks the server behind `url`, with a deadline and past every cache. */
export function askServer(url: string): Ask {
  return async () => {
    const response = await fetch(url, {
      cache: "no-store",
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(POLL_TIMEOUT_MS),
    });
    if (!response.ok) throw new NotAReading(`HTTP ${response.status}`);
    return parseReading(await response.json());
  };
}

async function attempt(ask: Ask): Promise<Outcome> {
  try {
    return { kind: "reading", reading: await ask() };
  } catch (error) {
    return { kind: "failure", reason: reason(error) };
  }
}

/** Browsers word their errors differently, so only our own are quoted. */
function reason(error: unknown): string {
  if (error instanceof NotAReading) return error.message;
  if (error instanceof SyntaxError) return "the answer is not JSON";
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `no answer within ${POLL_TIMEOUT_MS / 1000} s`;
  }
  return "no connection";
}

function sleep(delay_ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(delay_ms, 0)));
}
