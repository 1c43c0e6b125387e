// Bundles graphiql/ into one folder that is served at /graphiql/, with nothing loaded from elsewhere.

import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Lets a tab be called by its first comment line. Fails when GraphiQL's source no longer fits. */
function tabTitles() {
  const TITLES = [
    [/title: (operationName \|\| DEFAULT_TITLE)/g, 'title: tabTitle(query) || $1', 2],
    [/title: (newTab\.operationName \|\| )/g, 'title: tabTitle(newTab.query) || $1', 1],
  ];
  return {
    name: 'crossdock:tab-titles',
    transform: {
      filter: { id: /@graphiql\/react\/dist\/utility\/tabs\.js$/ },
      handler(source) {
        let code = source;
        for (const [pattern, replacement, expected] of TITLES) {
          const found = code.match(pattern)?.length ?? 0;
          if (found !== expected)
            this.error(`${pattern} matches ${found} times instead of ${expected}: see web/README.md`);
          code = code.replace(pattern, replacement);
        }
        const module = JSON.stringify(here('./graphiql/tab-title.js'));
        return { code: `import { tabTitle } from ${module};\n${code}`, map: null };
      },
    },
  };
}

/** Takes the fonts out of the stylesheets, so that a browser loads only the alphabets it shows. */
function fontFiles() {
  const FONT = /url\(["']?data:font\/(\w+);base64,([A-Za-z0-9+/=]+)["']?\)/g;
  return {
    name: 'crossdock:font-files',
    generateBundle(_, bundle) {
      for (const sheet of Object.values(bundle)) {
        if (!sheet.fileName.endsWith('.css')) continue;
        sheet.source = sheet.source.toString().replace(FONT, (_, type, base64) => {
          const source = Buffer.from(base64, 'base64');
          const name = `font-${createHash('sha256').update(source).digest('hex').slice(0, 8)}.${type}`;
          this.emitFile({ type: 'asset', fileName: `assets/${name}`, source });
          return `url(${name})`; // beside the stylesheet
        });
      }
    },
  };
}

export default defineConfig({
  root: here('./graphiql'),
  base: '/graphiql/',
  publicDir: false,
  plugins: [tabTitles(), fontFiles()],
  worker: { format: 'es' },
  build: {
    outDir: process.env.CROSSDOCK_WEB_OUT ?? here('../src/server/static/graphiql'),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 5000,
    modulePreload: { polyfill: false },
    sourcemap: false,
    rolldownOptions: {
      checks: { moduleLevelDirective: false }, // "use client" in React libraries
    },
    target: 'baseline-widely-available',
  },
});
