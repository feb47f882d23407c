/**
 * Numbers and times as text. Pure; the page speaks English wherever it is read.
 */

const UNITS = [
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
] as const;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** The current speed: `~10.0`; `unknown` when it is not known. */
export function speed(value: number | null): string {
  return value === null ? "unknown" : `~${value.toFixed(1)}`;
}

/** The heading's sentence in its three parts, so the middle can be set larger. */
export function speedSentence(value: number | null): [string, string, string] {
  return ["Current mining speed: ", speed(value), value === null ? "" : " hashes/second"];
}

/** An axis label: `950`, `1.5K`, `2M`, `3.25B`; at most two decimals. */
export function compact(value: number): string {
  for (const [size, letter] of UNITS) {
    // A value that would round up to the next unit is already written in it.
    if (Math.abs(value) >= size * 0.999995) return trim(value / size) + letter;
  }
  return trim(value);
}

/** A count with its digits in groups: `1,234,567`. */
export function count(value: number): string {
  return whole.format(value);
}

/** A speed among other numbers, with its digits in groups: `1,234.5`. */
export function decimal(value: number): string {
  return tenths.format(value);
}

/** How many hashes one coin took: `1 in 16.2 hashes`. The coins may outlive the counter. */
export function coinRate(hashes: number, coins: number): string {
  if (coins <= 0) return "none found yet";
  if (hashes < coins) return "in the wallet";
  return `1 in ${decimal(hashes / coins)} hashes`;
}

/** A length of time: `9 s`, `1 min`, `4 min 9 s`. */
export function duration(seconds: number): string {
  const rounded = Math.round(Math.abs(seconds));
  const min = Math.floor(rounded / 60);
  const s = rounded % 60;
  if (min === 0) return `${s} s`;
  return s === 0 ? `${min} min` : `${min} min ${s} s`;
}

/** A moment relative to the newest sample: `now`, `12 s ago`. */
export function ago(seconds: number): string {
  return Math.round(seconds) === 0 ? "now" : `${duration(seconds)} ago`;
}

/** A label of the time axis: `now`, `−30 s`, `−4 min`. */
export function axisTime(seconds: number): string {
  return Math.round(seconds) === 0 ? "now" : `−${duration(seconds)}`;
}

/** The time of day, `14:03:09`, in the reader's time zone unless told otherwise. */
export function clock(epoch_s: number, timeZone?: string): string {
  return new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    ...(timeZone === undefined ? {} : { timeZone }),
  }).format(epoch_s * 1000);
}

function trim(value: number): string {
  return String(Number(value.toFixed(2)));
}
