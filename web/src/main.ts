/**
 * The DockerCoins page: introduces the poll, the series, the chart and the texts to each other.
 *
 * The only state of the page lives here, and only `handle` changes it.
 */

import "./styles.css";
import { announce, type Announcement } from "./announce";
import { createChart } from "./chart";
import { DESCRIBE_INTERVAL_MS, LINE_AVERAGE_S, TOTAL_AVERAGE_S } from "./limits";
import { follow, type Link } from "./link";
import { byId, write, writeLink, writeSpeed, writeTotals } from "./page";
import { askServer, poll, type Outcome } from "./poll";
import { append, averages, currentSpeed, gaps, lastReading, miss, speeds, times, type Series } from "./series";
import { summarize } from "./summary";
import { connectTable } from "./table";

let series: Series = [];
let link: Link = { kind: "connecting" };
let announced: Announcement | null = null;
let described_ms = -Infinity;
/** What to add to the browser's monotonic clock to get the server's, in seconds. */
let serverOffset_s = 0;

const chart = createChart(byId("chart"));
connectTable(byId<HTMLDetailsElement>("numbers"), () => series);
void poll(askServer("json"), handle);

function handle(outcome: Outcome): void {
  const monotonic_s = performance.now() / 1000;
  if (outcome.kind === "reading") {
    series = append(series, outcome.reading);
    serverOffset_s = outcome.reading.now - monotonic_s;
  } else {
    series = miss(series, monotonic_s + serverOffset_s);
  }
  link = follow(link, outcome, Date.now() / 1000);
  render();
}

function render(): void {
  const means = averages(series, LINE_AVERAGE_S);
  const silences = gaps(series);
  chart.draw({ times: times(series), speeds: speeds(series), averages: means, gaps: silences });
  byId("legend-gap").hidden = silences.length === 0;
  writeSpeed(currentSpeed(series));
  writeLink(link);
  const reading = lastReading(series);
  if (reading !== null) writeTotals(reading, averages(series, TOTAL_AVERAGE_S).at(-1) ?? null);
  speak(means.at(-1) ?? null, performance.now());
}

/** Keeps the chart's text alternative and the live region up to date, both at leisure. */
function speak(mean: number | null, now_ms: number): void {
  if (now_ms - described_ms >= DESCRIBE_INTERVAL_MS) {
    described_ms = now_ms;
    byId("chart").setAttribute("aria-label", summarize(series));
  }
  const next = announce(announced, link.kind, mean, now_ms);
  if (next === null) return;
  announced = next;
  write("announcements", next.text);
}
