import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

/** The built page lies inside the Python package, which serves it. `npm run dev` passes the API on to a running service. */
export default defineConfig({
  plugins: [preact()],
  build: {
    outDir: "../headroom/page",
    emptyOutDir: true,
    target: "es2022",
    // The content security policy lets no script or style stand inside the document.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080" } },
  test: { include: ["src/**/*.test.ts"] },
});
