/**
 * The chart in words: its text alternative, made from what was measured.
 */

import { duration } from "./format";
import { gaps, steps, times, type Series } from "./series";

/** One paragraph; back-filled samples are left out, stretches without answers are named. */
export function summarize(series: Series): string {
  const at = times(series);
  const measured = steps(series).flatMap((step, i) => (step?.measured ? [{ step, from: at[i]! - step.seconds }] : []));
  const first = measured[0];
  if (first === undefined) return "Area chart of the mining speed. Nothing measured yet.";
  const values = measured.map(({ step }) => step.hashes / step.seconds);
  return [
    `Area chart of the mining speed over the last ${duration(first.from)}.`,
    `Lowest ${Math.min(...values).toFixed(1)}, highest ${Math.max(...values).toFixed(1)},`,
    `latest ${values.at(-1)!.toFixed(1)} hashes per second.`,
    outages(series),
  ]
    .filter(Boolean)
    .join(" ");
}

function outages(series: Series): string {
  const found = gaps(series);
  if (found.length === 0) return "";
  const silent_s = found.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const often = found.length === 1 ? "once" : `${found.length} times`;
  return `The server did not answer ${often}, for ${duration(silent_s)} in all.`;
}
