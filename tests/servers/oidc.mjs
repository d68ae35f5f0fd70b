// oidc.mjs PACKAGE_DIR PORT: oidc-provider, a certified OAuth 2.0 and OpenID provider, on 127.0.0.1; its state is in memory.
// Its scopes are those of Dropbox (OIDC_SCOPES: others).  Two clients: the refresh tokens of one, test-rotating, are good for one use, and
// a second use of one is the end of its grant.  A person signs in with any name.  Access tokens live for OIDC_TTL seconds.  Any path under /api/oauth of a
// loopback address is a good redirect, as the clouds allow for apps on a person's machine (RFC 8252, 7.3).
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [dir, port] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(path.join(dir, 'lib/index.js')).href);
const scopes = (process.env.OIDC_SCOPES ?? 'account_info.read files.metadata.read files.metadata.write files.content.read files.content.write').split(' ');
const day = 86400;
const rotating = 'test-rotating';
const provider = new Provider(`http://127.0.0.1:${port}`, {
	clients: ['test-client', rotating].map((id) => ({
		client_id: id, client_secret: 'test-secret', token_endpoint_auth_method: 'client_secret_post',
		application_type: 'native', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
		redirect_uris: ['http://127.0.0.1/api/oauth/callback'], scope: ['openid', 'offline_access', ...scopes].join(' '),
	})),
	scopes: ['openid', 'offline_access', ...scopes],
	features: { introspection: { enabled: true }, revocation: { enabled: true }, devInteractions: { enabled: true } },
	ttl: {
		AccessToken: Number(process.env.OIDC_TTL ?? 3600), RefreshToken: day, Grant: day, Interaction: 600, Session: 3600,
	},
	pkce: { required: () => true },
	issueRefreshToken: async () => true,
	rotateRefreshToken: (ctx) => ctx.oidc.client.clientId === rotating,
	findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
	cookies: { keys: ['test'] },
});
const server = provider.listen(Number(port), '127.0.0.1');
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { server.close(); process.exit(0); });
