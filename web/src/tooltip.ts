/**
 * The tooltip: what the sample under the pointer says. A uPlot plugin.
 *
 * It is a convenience for the pointer only; the table has the same numbers for everyone.
 */

import type uPlot from "uplot";
import { ago, decimal } from "./format";
import { LINE_AVERAGE_S } from "./limits";

export function tooltip(): uPlot.Plugin {
  const box = document.createElement("div");
  box.className = "tooltip";
  box.hidden = true;
  return {
    hooks: {
      init: (plot) => void plot.over.append(box),
      setCursor: (plot) => show(plot, box),
      draw: (plot) => show(plot, box),
    },
  };
}

function show(plot: uPlot, box: HTMLElement): void {
  const { idx, left } = plot.cursor;
  box.hidden = idx == null || left == null || left < 0;
  if (box.hidden || idx == null || left == null) return;
  box.replaceChildren(...lines(plot, idx));
  const room = plot.over.clientWidth - box.offsetWidth;
  const wanted = left > room - 16 ? left - box.offsetWidth - 14 : left + 14;
  box.style.transform = `translateX(${Math.max(0, Math.min(wanted, room))}px)`;
}

function lines(plot: uPlot, idx: number): HTMLElement[] {
  const [times, speeds, averages] = plot.data;
  const value = speeds?.[idx] ?? null;
  const mean = averages?.[idx] ?? null;
  return [
    line("tooltip-time", ago(times[idx] ?? 0)),
    line("tooltip-speed", value === null ? "speed unknown" : `${decimal(value)} hashes/s`),
    ...(mean === null ? [] : [line("tooltip-mean", `${LINE_AVERAGE_S} s average ${decimal(mean)}`)]),
  ];
}

function line(className: string, text: string): HTMLElement {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = text;
  return element;
}
