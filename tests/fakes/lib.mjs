// What the fakes of clouds share: a server on 127.0.0.1 that ends with its standard input (unless --stay is given), bodies,
// errors on request.
//
// A fake is started as  node tests/fakes/CLOUD.mjs [--port N] [--cert FILE --key FILE]  and prints one line of JSON:
// {"endpoint","pid"} and what the fake adds.  With --cert it speaks TLS.
//
// Control requests, which no fault touches:
//   POST /-/faults   [{"match":"METHOD regex of path and query","times":1,"after":0,"status":503,"headers":{},"body":"",
//                    "cut":BYTES,"reset":true,"lost":true}]  in place of those that were there.  The first that matches
//                    takes the request: it answers with `status`, or resets the connection; `lost`: the request is
//                    carried out, and then the connection is reset; `cut`: the answer ends after so many bytes.
//   GET  /-/state    {"requests":{"METHOD /path":N},"unplayed":[FAULT]} and what the fake adds
//   POST /-/reset    everything is forgotten
// With --introspect URL --client ID --secret S, a fake that asks introspected() takes another provider's tokens.
import http from 'node:http';
import https from 'node:https';
import fs from 'node:fs';

export const arg = (name) => {
	const at = process.argv.indexOf(name);
	return at < 0 ? undefined : process.argv[at + 1];
};

/** The whole body of a request; more than `most` bytes is an error. */
export async function body(req, most = 256 << 20) {
	const pieces = [];
	let length = 0;
	for await (const piece of req) {
		length += piece.length;
		if (length > most) throw new Error('the body is too large');
		pieces.push(piece);
	}
	return Buffer.concat(pieces);
}

export function json(res, status, value, headers = {}) {
	const bytes = Buffer.from(JSON.stringify(value));
	res.writeHead(status, { 'Content-Type': 'application/json; charset=UTF-8', 'Content-Length': bytes.length, ...headers });
	res.end(bytes);
}

/** [from, to) of a Range header; null: all of it; undefined: cannot be satisfied. */
export function range(header, size) {
	const found = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
	if (!found || (found[1] === '' && found[2] === '')) return null;
	const from = found[1] === '' ? Math.max(0, size - Number(found[2])) : Number(found[1]);
	const to = found[1] === '' || found[2] === '' ? size : Math.min(size, Number(found[2]) + 1);
	return from >= size || to <= from ? undefined : [from, to];
}

/** With --introspect URL --client ID --secret S: does that provider say that this is a good token (RFC 7662)? */
export async function introspected(token) {
	if (!arg('--introspect')) return false;
	const form = new URLSearchParams({ token, client_id: arg('--client'), client_secret: arg('--secret') });
	const answer = await fetch(arg('--introspect'), { method: 'POST', body: form });
	return answer.ok && (await answer.json()).active === true;
}

/**
 * @param handle async (req, res, url): answers; what it throws is a 500 that says so
 * @param fake {state(): object, reset(): void, hello: object, control: {"/-/name": (body: object) => object}}: its own control
 *     requests; may be left out
 */
export function serve(handle, fake) {
	let faults = [];
	const requests = {};

	async function control(req, res, path) {
		if (path === '/-/faults') {
			faults = JSON.parse((await body(req)).toString()).map((f) => ({ times: 1, after: 0, ...f, expr: new RegExp(f.match) }));
			json(res, 200, {});
		} else if (path === '/-/reset') {
			faults = [];
			for (const name of Object.keys(requests)) delete requests[name];
			fake.reset();
			json(res, 200, {});
		} else if (path === '/-/state') {
			json(res, 200, { requests, unplayed: faults.filter((f) => f.times > 0).map(({ expr, ...f }) => f), ...fake.state() });
		} else if (fake.control?.[path]) {
			const text = (await body(req)).toString();
			json(res, 200, (await fake.control[path](text === '' ? {} : JSON.parse(text))) ?? {});
		} else json(res, 404, { error: `no control request ${path}` });
	}

	function fault(name) {
		for (const f of faults) {
			if (f.times <= 0 || !f.expr.test(name)) continue;
			if (f.after > 0) { f.after--; continue; }
			f.times--;
			return f;
		}
		return undefined;
	}

	/** The answer's first `most` bytes, then the end of the connection. */
	function cut(res, most) {
		let left = most;
		const write = res.write.bind(res);
		res.write = (chunk) => {
			const part = Buffer.from(chunk).subarray(0, left);
			left -= part.length;
			if (part.length > 0) write(part);
			if (left <= 0) setImmediate(() => res.socket?.end());
			return true;
		};
		res.end = (chunk) => { if (chunk) res.write(chunk); res.socket?.end(); };
	}

	/** What speaks TLS cannot be reset, only ended. */
	const reset = (socket) => (socket.encrypted ? socket.destroy() : socket.resetAndDestroy());

	async function take(req, res) {
		const url = new URL(req.url, `http://${req.headers.host ?? 'localhost'}`);
		if (url.pathname.startsWith('/-/')) return control(req, res, url.pathname);
		const name = `${req.method} ${url.pathname}`;
		requests[name] = (requests[name] ?? 0) + 1;
		const f = fault(`${req.method} ${req.url}`);
		if (f?.reset) return reset(req.socket);
		if (f?.lost) {
			res.writeHead = () => res;
			res.write = () => true;
			res.end = () => reset(req.socket);
		} else if (f?.cut !== undefined) cut(res, f.cut);
		else if (f) {
			req.resume();
			await new Promise((ended) => req.on('close', ended).on('end', ended));
			res.writeHead(f.status ?? 503, { 'Content-Length': Buffer.byteLength(f.body ?? ''), ...f.headers });
			return res.end(f.body ?? '');
		}
		return handle(req, res, url);
	}

	const listener = (req, res) => take(req, res).catch((e) => {
		if (res.headersSent) return res.socket?.destroy();
		json(res, 500, { error: { code: 500, message: `the fake: ${e.stack}` } });
	});
	const cert = arg('--cert');
	const server = cert
		? https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(arg('--key')) }, listener)
		: http.createServer(listener);
	server.keepAliveTimeout = 60000;
	server.listen(Number(arg('--port') ?? 0), '127.0.0.1', () => {
		const endpoint = `${cert ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
		console.log(JSON.stringify({ endpoint, pid: process.pid, ...fake.hello }));
	});
	if (!process.argv.includes('--stay')) process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
}
