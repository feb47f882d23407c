/** The poll: once a second, never two at a time, for ever. Virtual time throughout. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { nextDue, poll, type Outcome } from "../src/poll";
import { NotAReading, type Reading } from "../src/reading";

const READING: Reading = { now: 1, hashes: 2, coins: 3 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Runs the poll for a while against a server that takes `answer_ms` to answer. */
async function run(answer_ms: number, duration_ms: number, answer: () => Reading = () => READING) {
  const start_ms = performance.now();
  const stop = new AbortController();
  const asked_ms: number[] = [];
  const outcomes: Outcome[] = [];
  let open = 0;
  let open_max = 0;
  const ask = async () => {
    asked_ms.push(performance.now() - start_ms);
    open_max = Math.max(open_max, ++open);
    await new Promise((resolve) => setTimeout(resolve, answer_ms));
    open--;
    return answer();
  };
  const running = poll(ask, (outcome) => outcomes.push(outcome), stop.signal);
  await vi.advanceTimersByTimeAsync(duration_ms);
  stop.abort();
  await vi.runAllTimersAsync();
  await running;
  return { asked_ms, outcomes, open_max };
}

test("asks every 1000 ms, however long the answer takes below that", async () => {
  const { asked_ms } = await run(120, 3500);
  expect(asked_ms).toEqual([0, 1000, 2000, 3000]);
});

test("a slow answer delays the next poll and is never overlapped", async () => {
  const { asked_ms, open_max } = await run(1300, 6500);
  expect(asked_ms).toEqual([0, 2000, 4000, 6000]);
  expect(open_max).toBe(1);
});

test("a failure is delivered and the poll goes on", async () => {
  let polls = 0;
  const { outcomes } = await run(10, 2500, () => {
    if (++polls === 2) throw new NotAReading("HTTP 503");
    return READING;
  });
  expect(outcomes).toEqual([
    { kind: "reading", reading: READING },
    { kind: "failure", reason: "HTTP 503" },
    { kind: "reading", reading: READING },
  ]);
});

test("an error of the browser's own is put in our words", async () => {
  const { outcomes } = await run(10, 500, () => {
    throw new TypeError("Failed to fetch");
  });
  expect(outcomes).toEqual([{ kind: "failure", reason: "no connection" }]);
});

test("ticks stay on the grid", () => {
  expect(nextDue(0, 0)).toBe(1000);
  expect(nextDue(0, 999)).toBe(1000);
  expect(nextDue(0, 1000)).toBe(2000);
  expect(nextDue(5000, 7300)).toBe(8000);
});
