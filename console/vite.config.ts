import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ProxyOptions, defineConfig } from "vite";

interface Entrance {
  address: string;
  token: string;
}

/** Where the host listens and the token of its owner, as it writes them into its data folder at each start. */
function entrance(): Entrance {
  const folder = process.env["ISOBAR_DATA"] ?? "../.isobar";
  return JSON.parse(readFileSync(join(folder, "api.json"), "utf8")) as Entrance;
}

function hostOf(address: string): string {
  return address.includes("://") ? address : `http://${address}`;
}

/** Passes the API on to a running host, in its owner's name: in development there is no cookie. */
function proxy(): Record<string, ProxyOptions> {
  const target = hostOf(entrance().address);
  return {
    "/api": {
      target,
      changeOrigin: true,
      // A stream of events lasts as long as the page.
      timeout: 0,
      proxyTimeout: 0,
      configure(server) {
        server.on("proxyReq", (request) => {
          request.setHeader("authorization", `Bearer ${entrance().token}`);
          request.removeHeader("origin");
        });
      },
    },
  };
}

export default defineConfig(({ command, isPreview }) => ({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../host/page",
    emptyOutDir: true,
    sourcemap: false,
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // The library that draws charts is one piece, which comes with the first of them.
    chunkSizeWarningLimit: 640,
  },
  server: command === "serve" && !isPreview && !process.env["VITEST"] ? { proxy: proxy() } : {},
}));
