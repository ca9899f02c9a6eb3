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
    },
    server: { proxy: { [apiPaths]: { target: gateway, changeOrigin: true } } },
    test: { include: ['src/**/*.test.ts'], environment: 'node' },
  };
});
