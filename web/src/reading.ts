/**
 * A reading: one answer of the server's `/json`, checked.
 *
 * Everything behind this file may trust the types; nothing before it may.
 */

export interface Reading {
  /** The server's clock, in seconds. */
  readonly now: number;
  /** Hashes counted so far. */
  readonly hashes: number;
  /** Coins found so far. */
  readonly coins: number;
}

/** The server answered, but not with what a DockerCoins webui answers. */
export class NotAReading extends Error {
  override readonly name = "NotAReading";
}

/**
 * Turns the decoded JSON body into a reading.
 *
 * `hashes` is the text of a Redis counter. It is null until the first worker
 * reports, and a counter that does not exist stands at zero.
 */
export function parseReading(body: unknown): Reading {
  if (typeof body !== "object" || body === null) {
    throw new NotAReading("the answer is not an object");
  }
  const { now, hashes, coins } = body as Record<string, unknown>;
  return {
    now: finite("now", now),
    hashes: hashes === null ? 0 : finite("hashes", counter(hashes)),
    coins: finite("coins", coins),
  };
}

function counter(value: unknown): unknown {
  return typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
}

function finite(field: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new NotAReading(`the answer has no usable "${field}"`);
}
