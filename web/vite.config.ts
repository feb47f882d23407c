/**
 * How the page is built. One entry per page: the cluster's dashboard becomes a second one.
 */

import { defineConfig } from "vitest/config";

/** The browser itself refuses every request to anyone but the page's own server. */
const POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'";

export default defineConfig({
  // Relative URLs: the page works behind any path.
  base: "./",
  build: {
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { index: "index.html" } },
  },
  plugins: [
    {
      name: "content-security-policy",
      apply: "build",
      transformIndexHtml: () => [
        { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
      ],
    },
  ],
  test: { include: ["test/**/*.test.ts"] },
});
