import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { loadEnv } from 'vite';
import { defineConfig } from 'vitest/config';

const apiPaths = '^/(infer|v1|api|auth|org|governance|metrics|analytics|models|cache|health|docs|redoc|openapi.json)(/|$|\\?)';

export default defineConfig(({ mode }) => {
  // The gateway that `npm run dev` talks to.
  const gateway = loadEnv(mode, '.', 'ASAHI_')['ASAHI_URL'] ?? 'http://127.0.0.1:8000';
  return {
    base: './',
    plugins: [react(), tailwindcss()],
    build: {
      target: 'es2023',
      // Nothing inline: the pages must work under a Content-Security-Policy of 'self'.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 700,
      rolldownOptions: {
        output: {
          // What the frame and most pages share stands in one file, not in a dozen that a first visit waits for one by one.
          advancedChunks: {
            groups: [
              {
                name: 'frame',
                test: /node_modules\/(react|react-dom|scheduler|use-sync-external-store|@tanstack\/[^/]+|@radix-ui\/react-(slot|compose-refs))\/|lucide-react\/dist\/esm\/(createLucideIcon|Icon|context|defaultAttributes|shared\/|icons\/(x|circle-alert|triangle-alert)\.)|\/ui\/src\/(badge|button|card|cx|dialog|field|later|menu|segments|stat|states|table|toast)\.|\/dashboard\/src\/(api\/(client|connection|errors|queries|analytics)|lib\/(format|range|timezone))\./,
              },
            ],
          },
        },
      },
    },
    server: { proxy: { [apiPaths]: { target: gateway, changeOrigin: true } } },
    test: { include: ['src/**/*.test.ts'], environment: 'node' },
  };
});
