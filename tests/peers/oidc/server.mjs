// A real OAuth2 server (oidc-provider) for tests: one client that signs in with its secret in the form body.
// Prints one line of JSON when it listens. Ends with its standard input, so that it never outlives the test.
import { Provider } from 'oidc-provider';

const { PEER_CLIENT_ID, PEER_CLIENT_SECRET, PEER_TOKEN_SECONDS = '600' } = process.env;
const port = Number(process.env.PEER_PORT);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: PEER_CLIENT_ID,
    client_secret: PEER_CLIENT_SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'guests.trips',
    token_endpoint_auth_method: 'client_secret_post',
  }],
  scopes: ['guests.trips'],
  ttl: { ClientCredentials: Number(PEER_TOKEN_SECONDS) },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
  },
});

const server = provider.listen(port, '127.0.0.1', () => {
  console.log(JSON.stringify({ ready: true, issuer }));
});
process.stdin.resume();
process.stdin.on('end', () => {
  server.close();
  process.exit(0);
});
