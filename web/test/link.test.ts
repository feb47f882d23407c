/** The link, and what is said about it. */

import { expect, test } from "vitest";
import { announce, type Announcement } from "../src/announce";
import { describeLink, follow, type Link } from "../src/link";
import type { Outcome } from "../src/poll";

const answered: Outcome = { kind: "reading", reading: { now: 1, hashes: 2, coins: 3 } };
const failed: Outcome = { kind: "failure", reason: "HTTP 503" };

test("a lost link remembers since when", () => {
  let link: Link = follow({ kind: "live" }, failed, 100);
  link = follow(link, failed, 105);
  expect(link).toEqual({ kind: "lost", since_s: 100, reason: "HTTP 503" });
  expect(describeLink(link).label).toBe("Server not reachable, retrying");
  expect(describeLink(link).detail).toContain("HTTP 503");
  expect(follow(link, answered, 106)).toEqual({ kind: "live" });
});

test("a change of the link is said at once, and only once", () => {
  const connected = announce(null, "live", null, 0);
  expect(connected?.text).toBe("Connected, updating every second");
  expect(announce(connected, "live", 10, 1000)).toBeNull();
  const lost = announce(connected, "lost", null, 2000);
  expect(lost?.text).toBe("Server not reachable, retrying");
  expect(announce(lost, "lost", null, 3000)).toBeNull();
  expect(announce(lost, "live", null, 4000)?.text).toBe("Server reachable again");
});

test("the speed is said once a minute at most, and only when it changed", () => {
  const connected = announce(null, "live", null, 0);
  expect(announce(connected, "live", 10, 59_000)).toBeNull();
  const said = announce(connected, "live", 10, 60_000) as Announcement;
  expect(said.text).toBe("Mining speed: about 10.0 hashes per second");
  expect(announce(said, "live", 10.5, 200_000)).toBeNull();
  expect(announce(said, "live", 20, 61_000)).toBeNull();
  expect(announce(said, "live", 20, 120_000)?.speed).toBe(20);
});
