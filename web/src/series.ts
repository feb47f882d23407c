/**
 * The series: the last 250 samples, and the speeds they amount to.
 *
 * Pure functions over read-only arrays. Time comes in with the samples; no
 * clock is read and nothing is drawn here.
 */

import { BACKFILL_STEP_S, SAMPLES_MAX } from "./limits";
import type { Reading } from "./reading";

/**
 * One point in time of the window.
 *
 * - `reading`: the server answered.
 * - `copy`: back-fill, a copy of the first reading from before the page opened.
 * - `missed`: a poll without an answer; `now` is what the server's clock would have said.
 */
export type Sample =
  | ({ readonly kind: "reading" | "copy" } & Reading)
  | { readonly kind: "missed"; readonly now: number };

export type Series = readonly Sample[];

/** What happened between a sample and the last known one before it. */
export interface Step {
  readonly hashes: number;
  readonly seconds: number;
  /** Both ends were read from the server, neither is back-fill. */
  readonly measured: boolean;
}

/** A stretch without answers, in seconds relative to the newest sample. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** Adds a reading; the very first one fills the window with copies of itself. */
export function append(series: Series, reading: Reading): Series {
  const before = series.length === 0 ? copies(reading) : series;
  return [...before, { kind: "reading", ...reading } as const].slice(-SAMPLES_MAX);
}

/** Notes a poll without an answer. Before the first reading there is nothing to note it in. */
export function miss(series: Series, now: number): Series {
  if (series.length === 0) return series;
  return [...series, { kind: "missed", now } as const].slice(-SAMPLES_MAX);
}

/**
 * The step that leads to each sample; null where nothing can be said:
 * at the first sample, at a missed one, when the counter went down (it was
 * reset) and when the server's clock did not advance.
 */
export function steps(series: Series): (Step | null)[] {
  let previous: Sample | null = null;
  return series.map((sample) => {
    if (sample.kind === "missed") return null;
    const step = between(previous, sample);
    previous = sample;
    return step;
  });
}

/** Hashes per second at each sample; null where the step is unknown. */
export function speeds(series: Series): (number | null)[] {
  return steps(series).map((step) => step && step.hashes / step.seconds);
}

/** The newest speed, or null when it is not known. */
export function currentSpeed(series: Series): number | null {
  return speeds(series).at(-1) ?? null;
}

/**
 * The mean speed of the `window_s` seconds that end at each sample.
 *
 * Only measured steps count, so back-fill does not drag the mean down; null
 * where there are none, and at missed samples.
 */
export function averages(series: Series, window_s: number): (number | null)[] {
  const at = times(series);
  const all = steps(series);
  return series.map((sample, index) => {
    if (sample.kind === "missed") return null;
    const start = (at[index] ?? 0) - window_s;
    let hashes = 0;
    let seconds = 0;
    for (let i = index; i >= 0 && (at[i] ?? 0) > start; i--) {
      const step = all[i];
      if (!step?.measured) continue;
      hashes += step.hashes;
      seconds += step.seconds;
    }
    return seconds > 0 ? hashes / seconds : null;
  });
}

/**
 * Where each sample stands on the x axis: seconds relative to the newest, which is 0.
 *
 * Always ascending. A server clock that stands still or goes back (another
 * node answered) moves the older samples out of the way by one step.
 */
export function times(series: Series): number[] {
  const at = new Array<number>(series.length).fill(0);
  for (let i = series.length - 2; i >= 0; i--) {
    const seconds = series[i + 1]!.now - series[i]!.now;
    at[i] = at[i + 1]! - (seconds > 0 ? seconds : BACKFILL_STEP_S);
  }
  return at;
}

/** The stretches without answers, each from the last known sample to the next one. */
export function gaps(series: Series): Gap[] {
  const at = times(series);
  const found: Gap[] = [];
  let from: number | null = null;
  series.forEach((sample, i) => {
    if (sample.kind === "missed") {
      from ??= at[Math.max(i - 1, 0)]!;
    } else if (from !== null) {
      found.push({ from, to: at[i]! });
      from = null;
    }
  });
  if (from !== null) found.push({ from, to: 0 });
  return found;
}

/** The newest sample the server answered for, if one is still in the window. */
export function lastReading(series: Series): Reading | null {
  return series.findLast((sample) => sample.kind !== "missed") ?? null;
}

function copies(reading: Reading): Series {
  return Array.from({ length: SAMPLES_MAX - 1 }, (_, i) => ({
    ...reading,
    kind: "copy" as const,
    now: reading.now - (SAMPLES_MAX - 1 - i) * BACKFILL_STEP_S,
  }));
}

function between(a: Sample | null, b: Sample): Step | null {
  if (a === null || a.kind === "missed" || b.kind === "missed") return null;
  const hashes = b.hashes - a.hashes;
  const seconds = b.now - a.now;
  if (hashes < 0 || seconds <= 0) return null;
  return { hashes, seconds, measured: a.kind === "reading" && b.kind === "reading" };
}
