/** The series: back-fill, window, speed, resets, gaps. */

import { describe, expect, test } from "vitest";
import { SAMPLES_MAX } from "../src/limits";
import type { Reading } from "../src/reading";
import { append, averages, currentSpeed, gaps, lastReading, miss, speeds, steps, times, type Series } from "../src/series";

const at = (now: number, hashes: number, coins = 0): Reading => ({ now, hashes, coins });

/** A series from readings; null is a poll without an answer, a second after the sample before. */
function seriesOf(...polls: (Reading | null)[]): Series {
  return polls.reduce<Series>(
    (series, reading) => (reading === null ? miss(series, (series.at(-1)?.now ?? 0) + 1) : append(series, reading)),
    [],
  );
}

describe("back-fill", () => {
  test("the first reading fills the window with copies one second apart", () => {
    const series = seriesOf(at(1000.5, 42, 3));
    expect(series).toHaveLength(SAMPLES_MAX);
    expect(series[0]).toEqual({ kind: "copy", now: 751.5, hashes: 42, coins: 3 });
    expect(series.at(-2)).toEqual({ kind: "copy", now: 999.5, hashes: 42, coins: 3 });
    expect(series.at(-1)).toEqual({ kind: "reading", now: 1000.5, hashes: 42, coins: 3 });
    expect(times(series)[0]).toBe(-249);
  });

  test("so the speed starts at zero", () => {
    expect(currentSpeed(seriesOf(at(1000, 42)))).toBe(0);
  });
});

describe("window", () => {
  test("holds 250 samples and drops the oldest", () => {
    let series: Series = [];
    for (let i = 0; i < 300; i++) series = append(series, at(i, i * 10));
    expect(series).toHaveLength(250);
    expect(series[0]).toMatchObject({ kind: "reading", now: 50 });
    expect(speeds(series).slice(1)).toEqual(new Array(249).fill(10));
    expect(speeds(series)[0]).toBeNull();
  });

  test("missed polls take their places in it", () => {
    let series = seriesOf(at(0, 0));
    for (let i = 1; i <= 400; i++) series = miss(series, i);
    expect(series).toHaveLength(250);
    expect(lastReading(series)).toBeNull();
    expect(currentSpeed(append(series, at(401, 9)))).toBeNull();
  });
});

describe("speed", () => {
  test("is the difference of the counter over the difference of the clock", () => {
    expect(currentSpeed(seriesOf(at(10, 100), at(11.25, 105)))).toBe(4);
  });

  test("is unknown without a reading", () => {
    expect(currentSpeed([])).toBeNull();
  });

  test("a counter that went down was reset: unknown once, never negative", () => {
    const series = seriesOf(at(1, 5000), at(2, 5010), at(3, 0), at(4, 7));
    expect(speeds(series).slice(-4)).toEqual([0, 10, null, 7]);
  });

  test("a clock that does not advance gives no speed", () => {
    const series = seriesOf(at(5, 0), at(5, 10), at(3, 20), at(4, 24));
    expect(speeds(series).slice(-4)).toEqual([0, null, null, 4]);
  });
});

describe("a server that does not answer", () => {
  test("leaves a gap; the first answer after it has the mean speed since the last", () => {
    const series = seriesOf(at(0, 0), at(1, 4), null, null, at(4, 16), at(5, 20));
    expect(speeds(series).slice(-6)).toEqual([0, 4, null, null, 4, 4]);
    expect(gaps(series)).toEqual([{ from: -4, to: -1 }]);
  });

  test("a gap is open while it lasts", () => {
    const series = seriesOf(at(0, 0), at(1, 4), null, null);
    expect(gaps(series)).toEqual([{ from: -2, to: 0 }]);
    expect(currentSpeed(series)).toBeNull();
    expect(lastReading(series)).toMatchObject({ now: 1 });
  });

  test("a counter that was reset meanwhile gives no speed", () => {
    expect(currentSpeed(seriesOf(at(1, 500), null, at(3, 2)))).toBeNull();
  });

  test("before the first answer there is nothing to note", () => {
    expect(miss([], 1)).toEqual([]);
    expect(gaps([])).toEqual([]);
  });
});

describe("times", () => {
  test("are relative to the newest sample", () => {
    expect(times(seriesOf(at(10, 0), at(11.5, 0), at(12, 0))).slice(-3)).toEqual([-2, -0.5, 0]);
  });

  test("ascend even when the server's clock goes back", () => {
    const series = seriesOf(at(100, 0), at(101, 0), at(40, 0), at(41, 0));
    expect(times(series).slice(-4)).toEqual([-3, -2, -1, 0]);
  });
});

describe("averages", () => {
  test("smooth the counter's steps out", () => {
    const counts = [0, 4, 8, 12, 12, 16, 20, 24, 24];
    const series = seriesOf(...counts.map((hashes, i) => at(i, hashes)));
    expect(averages(series, 4).slice(-4)).toEqual([3, 3, 3, 3]);
  });

  test("leave back-fill out", () => {
    const series = seriesOf(at(0, 100), at(1, 110), at(2, 120));
    expect(averages(series, 30).slice(-3)).toEqual([null, 10, 10]);
    expect(steps(series).filter((step) => step?.measured)).toHaveLength(2);
  });

  test("leave resets out and pause in a gap", () => {
    const series = seriesOf(at(0, 100), at(1, 110), at(2, 0), null, at(4, 20));
    expect(averages(series, 30).slice(-4)).toEqual([10, 10, null, 10]);
  });
});
