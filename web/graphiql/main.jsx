// The GraphiQL page: example tabs, explorer, and a switch for the subscription transport.

import 'graphiql/setup-workers/vite';

import '@graphiql/react/font/fira-code.css';
import '@graphiql/react/font/roboto.css';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import '@graphiql/plugin-explorer/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { examples } from './examples.js';
import { fetcher } from './fetcher.js';
import { TransportSwitch } from './transport.jsx';

const PLUGINS = [HISTORY_PLUGIN, explorerPlugin()];

const stored = (name) => localStorage.getItem(`graphiql:${name}`);

// GraphiQL gives a default tab its query but not its variables when that tab opens first.
const firstVisit = stored('tabState') === null;
// GraphiQL keeps headers (and so tokens) for everyone or forgets that one user asked for it.
const keepHeaders = stored('shouldPersistHeaders') === 'true';

function Page() {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={PLUGINS}
      defaultQuery=""
      defaultTabs={examples}
      initialVariables={firstVisit ? examples[0].variables : undefined}
      defaultEditorToolsVisibility
      isHeadersEditorEnabled
      shouldPersistHeaders={keepHeaders}
      showPersistHeadersSettings
      inputValueDeprecation
      schemaDescription
    >
      <GraphiQL.Logo>Crossdock</GraphiQL.Logo>
      <GraphiQL.Footer>
        <TransportSwitch />
      </GraphiQL.Footer>
    </GraphiQL>
  );
}

createRoot(document.getElementById('graphiql')).render(<Page />);
