// The setting for how subscriptions travel, and its switch under the response.

import { Button, ButtonGroup } from '@graphiql/react';
import { useState } from 'react';

const KEY = 'graphiql:subscriptionTransport'; // in GraphiQL's namespace, so "Clear data" clears it
const LABELS = { ws: 'WebSocket', sse: 'SSE' };

export const transport = {
  /** @returns {'ws' | 'sse'} */
  get: () => (localStorage.getItem(KEY) === 'sse' ? 'sse' : 'ws'),
  set: (name) => localStorage.setItem(KEY, name),
};

export function TransportSwitch() {
  const [current, setCurrent] = useState(transport.get);
  const choose = (name) => {
    transport.set(name);
    setCurrent(name);
  };
  return (
    <div className="crossdock-transport" role="group" aria-label="Subscription transport">
      <span>Subscriptions over</span>
      <ButtonGroup>
        {Object.entries(LABELS).map(([name, label]) => (
          <Button
            key={name}
            type="button"
            className={name === current ? 'active' : ''}
            aria-pressed={name === current}
            onClick={() => choose(name)}
          >
            {label}
          </Button>
        ))}
      </ButtonGroup>
    </div>
  );
}
