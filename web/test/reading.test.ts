/** What `/json` may answer, and what it may not. */

import { expect, test } from "vitest";
import { NotAReading, parseReading } from "../src/reading";

test("the counter comes as text", () => {
  expect(parseReading({ coins: 3, hashes: "47", now: 12.5 })).toEqual({ coins: 3, hashes: 47, now: 12.5 });
});

test("a counter that does not exist yet stands at zero", () => {
  expect(parseReading({ coins: 0, hashes: null, now: 1 }).hashes).toBe(0);
});

test.each([
  [null],
  ["text"],
  [{}],
  [{ coins: 1, now: 1 }],
  [{ coins: 1, hashes: "many", now: 1 }],
  [{ coins: "1", hashes: "1", now: 1 }],
  [{ coins: 1, hashes: "1", now: null }],
  [{ coins: 1, hashes: "", now: 1 }],
])("%j is not a reading", (body) => {
  expect(() => parseReading(body)).toThrow(NotAReading);
});
