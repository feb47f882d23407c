/**
 * The area chart: uPlot's options, the marks it has no option for, and its size.
 *
 * It draws the view it is given. What the numbers are is series.ts' business.
 */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisTime, compact } from "./format";
import { WINDOW_S } from "./limits";
import { onPaletteChange, readPalette, type Palette } from "./palette";
import type { Gap } from "./series";
import { tooltip } from "./tooltip";

/** What the chart shows; the three columns have one entry per sample. */
export interface View {
  /** Seconds relative to the newest sample, ascending to 0. */
  readonly times: number[];
  readonly speeds: (number | null)[];
  readonly averages: (number | null)[];
  readonly gaps: readonly Gap[];
}

export interface Chart {
  draw(view: View): void;
}

const EMPTY: View = { times: [], speeds: [], averages: [], gaps: [] };

/** The scale of an idle chart, in hashes per second: about one worker. */
const SPEED_SCALE_MIN = 3;

/** Below this width in CSS pixels the time axis has room for every second label only. */
const NARROW_PX = 520;

export function createChart(host: HTMLElement): Chart {
  let view = EMPTY;
  let palette = readPalette(host);
  const plot = new uPlot(
    options(host, () => palette, () => view),
    columns(view),
    host,
  );

  new ResizeObserver(() => plot.setSize(size(host))).observe(host);
  onPaletteChange(() => {
    palette = readPalette(host);
    plot.redraw(false, true);
  });

  return {
    draw(next) {
      view = next;
      plot.setData(columns(view));
    },
  };
}

function columns(view: View): uPlot.AlignedData {
  return [view.times, view.speeds, view.averages];
}

function size(host: HTMLElement): { width: number; height: number } {
  return { width: host.clientWidth, height: host.clientHeight };
}

function options(host: HTMLElement, palette: () => Palette, view: () => View): uPlot.Options {
  return {
    ...size(host),
    padding: [12, 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    scales: {
      x: { time: false, range: [-WINDOW_S, 0] },
      y: { range: (_plot, _min, max) => speedRange(max) },
    },
    axes: [timeAxis(palette), speedAxis(palette)],
    series: [{}, speedSeries(palette), averageSeries(palette)],
    plugins: [tooltip()],
    hooks: {
      drawAxes: [(plot) => drawGaps(plot, view().gaps, palette())],
      draw: [(plot) => drawNewest(plot, palette())],
    },
  };
}

function timeAxis(palette: () => Palette): uPlot.Axis {
  return {
    stroke: () => palette().label,
    font: palette().font,
    grid: { show: false },
    ticks: { stroke: () => palette().grid, width: 1, size: 6 },
    gap: 6,
    size: 34,
    splits: (plot) => (plot.width < NARROW_PX ? [-240, -120, 0] : [-240, -180, -120, -60, 0]),
    values: (_plot, splits) => splits.map(axisTime),
  };
}

function speedAxis(palette: () => Palette): uPlot.Axis {
  return {
    stroke: () => palette().label,
    font: palette().font,
    grid: { stroke: () => palette().grid, width: 1 },
    ticks: { show: false },
    gap: 10,
    size: 52,
    space: 48,
    values: (_plot, splits) => splits.map(compact),
  };
}

function speedSeries(palette: () => Palette): uPlot.Series {
  return {
    stroke: () => palette().line,
    width: 1,
    fill: (plot) => areaFill(plot, palette()),
    points: { show: false },
    // A speed holds for the whole second before its sample: the area is the hashes done.
    paths: uPlot.paths.stepped!({ align: -1 }),
  };
}

function averageSeries(palette: () => Palette): uPlot.Series {
  return { stroke: () => palette().mean, width: 2.5, points: { show: false }, paths: uPlot.paths.spline!() };
}

/** From zero to a round value above the highest speed; an idle chart still has a scale. */
function speedRange(max: number | null): uPlot.Range.MinMax {
  const [, top] = uPlot.rangeNum(0, Math.max(max ?? 0, SPEED_SCALE_MIN), 0.12, true);
  return [0, top];
}

function areaFill(plot: uPlot, palette: Palette): CanvasGradient | string {
  const { top, height } = plot.bbox;
  if (!Number.isFinite(top) || height <= 0) return palette.fillTop;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, palette.fillTop);
  gradient.addColorStop(1, palette.fillBottom);
  return gradient;
}

/** A hatched band over every stretch without answers. */
function drawGaps(plot: uPlot, gaps: readonly Gap[], palette: Palette): void {
  for (const gap of gaps) {
    const left = Math.max(plot.valToPos(gap.from, "x", true), plot.bbox.left);
    const right = plot.valToPos(gap.to, "x", true);
    if (right > left) hatch(plot, left, right, palette.gap);
  }
}

function hatch(plot: uPlot, left: number, right: number, colour: string): void {
  const { ctx } = plot;
  const { top, height } = plot.bbox;
  const spacing = 7 * uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, right - left, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = uPlot.pxRatio;
  ctx.beginPath();
  for (let x = left - height; x < right; x += spacing) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

/** A dot at the newest mean, where the eye should rest. */
function drawNewest(plot: uPlot, palette: Palette): void {
  const value = plot.data[2]?.at(-1);
  if (value == null) return;
  const { ctx } = plot;
  const x = plot.valToPos(0, "x", true);
  const y = plot.valToPos(value, "y", true);
  ctx.save();
  ctx.beginPath();
  ctx.arc(x, y, 5 * uPlot.pxRatio, 0, 2 * Math.PI);
  ctx.fillStyle = palette.mean;
  ctx.strokeStyle = palette.surface;
  ctx.lineWidth = 2.5 * uPlot.pxRatio;
  ctx.stroke();
  ctx.fill();
  ctx.restore();
}
