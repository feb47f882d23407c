/** The chart in words. */

import { expect, test } from "vitest";
import { append, miss, type Series } from "../src/series";
import { summarize } from "../src/summary";

test("nothing measured", () => {
  expect(summarize([])).toBe("Area chart of the mining speed. Nothing measured yet.");
  expect(summarize(append([], { now: 1, hashes: 1, coins: 0 }))).toContain("Nothing measured yet");
});

test("what was measured, and what was not", () => {
  let series: Series = append([], { now: 0, hashes: 0, coins: 0 });
  series = append(series, { now: 1, hashes: 4, coins: 0 });
  series = append(series, { now: 2, hashes: 12, coins: 0 });
  series = miss(series, 3);
  series = append(series, { now: 4, hashes: 24, coins: 0 });
  expect(summarize(series)).toBe(
    "Area chart of the mining speed over the last 4 s. " +
      "Lowest 4.0, highest 8.0, latest 6.0 hashes per second. " +
      "The server did not answer once, for 2 s in all.",
  );
});
