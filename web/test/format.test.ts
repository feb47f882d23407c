/** Numbers and times as text. */

import { expect, test } from "vitest";
import { ago, axisTime, clock, coinRate, compact, count, decimal, duration, speed, speedSentence } from "../src/format";

test.each([
  [0, "Current mining speed: ~0.0 hashes/second"],
  [3.333, "Current mining speed: ~3.3 hashes/second"],
  [10, "Current mining speed: ~10.0 hashes/second"],
  [12345.67, "Current mining speed: ~12345.7 hashes/second"],
  [null, "Current mining speed: unknown"],
])("the heading for %s", (value, text) => {
  expect(speedSentence(value).join("")).toBe(text);
});

test.each([
  [0, "0"],
  [0.5, "0.5"],
  [12, "12"],
  [950, "950"],
  [999.999, "1K"],
  [1000, "1K"],
  [1250, "1.25K"],
  [2500, "2.5K"],
  [999_999, "1M"],
  [2_000_000, "2M"],
  [3_250_000_000, "3.25B"],
  [1.2e12, "1200B"],
])("the axis label for %d is %s", (value, text) => {
  expect(compact(value)).toBe(text);
});

test("counts are grouped", () => {
  expect(count(1234567)).toBe("1,234,567");
  expect(decimal(1234.56)).toBe("1,234.6");
  expect(decimal(4)).toBe("4.0");
});

test("the coin rate needs coins, and a counter as old as they are", () => {
  expect(coinRate(100, 0)).toBe("none found yet");
  expect(coinRate(0, 10)).toBe("in the wallet");
  expect(coinRate(162, 10)).toBe("1 in 16.2 hashes");
});

test.each([
  [9.4, "9 s"],
  [60, "1 min"],
  [59.7, "1 min"],
  [-249, "4 min 9 s"],
])("%d seconds last %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test("moments are relative to the newest sample", () => {
  expect(ago(-0.2)).toBe("now");
  expect(ago(-12)).toBe("12 s ago");
  expect(axisTime(0)).toBe("now");
  expect(axisTime(-240)).toBe("−4 min");
  expect(clock(50589, "UTC")).toBe("14:03:09");
  expect(speed(4)).toBe("~4.0");
});
