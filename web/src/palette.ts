/**
 * The chart's colours. The style sheet owns them, as custom properties, so
 * that the canvas follows light, dark and forced colours like the rest.
 */

export interface Palette {
  readonly line: string;
  readonly fillTop: string;
  readonly fillBottom: string;
  readonly mean: string;
  readonly grid: string;
  readonly label: string;
  readonly gap: string;
  readonly surface: string;
  readonly font: string;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const get = (name: string) => style.getPropertyValue(`--chart-${name}`).trim();
  return {
    line: get("line"),
    fillTop: get("fill-top"),
    fillBottom: get("fill-bottom"),
    mean: get("mean"),
    grid: get("grid"),
    label: get("label"),
    gap: get("gap"),
    surface: get("surface"),
    font: `12px ${style.fontFamily}`,
  };
}

/** Calls back whenever the colours may have changed under the canvas. */
export function onPaletteChange(changed: () => void): void {
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"]) {
    matchMedia(query).addEventListener("change", changed);
  }
}
