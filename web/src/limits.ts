/**
 * Every bound and period of the page, with its unit, in one place.
 */

/** One poll starts this long after the start of the one before. */
export const POLL_INTERVAL_MS = 1000;

/** A poll without an answer after this long has failed. */
export const POLL_TIMEOUT_MS = 4000;

/** The chart's window; older samples fall out. */
export const SAMPLES_MAX = 250;

/** Back-filled copies stand this far apart. */
export const BACKFILL_STEP_S = 1;

/** What the chart's x axis spans: the window when every poll is on time. */
export const WINDOW_S = ((SAMPLES_MAX - 1) * POLL_INTERVAL_MS) / 1000;

/** The line over the area is the mean of this many seconds: calm, yet quick to follow a change. */
export const LINE_AVERAGE_S = 10;

/** The average among the totals is the mean of this many seconds: slow, and exact to a few percent. */
export const TOTAL_AVERAGE_S = 60;

/** A screen reader hears the speed at most this often... */
export const ANNOUNCE_INTERVAL_MS = 60_000;

/** ...and only when it has changed by this share since it was last said. */
export const ANNOUNCE_CHANGE_RATIO = 0.1;

/** The chart's text alternative is rewritten at most this often. */
export const DESCRIBE_INTERVAL_MS = 10_000;
