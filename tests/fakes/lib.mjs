// What the fakes of clouds share: a server on 127.0.0.1 that ends with its standard input (unless --stay is given), bodies,
// errors on request.
//
// A fake is started as  node tests/fakes/CLOUD.mjs [--port N] [--cert FILE --key FILE]  and prints one line of JSON:
// {"endpoint","pid"} and what the fake adds.  With --cert it speaks TLS.
//
// Control requests, which no fault touches:
//   POST /-/faults   [{"match":"METHOD regex of path and query","times":1,"after":0, and what happens}]  in place of those
//                    that were there.  The first that matches takes the request; times -1: every one.
//     in place of an answer
//       "status":503,"headers":{},"body":"","repeat":1   this; the body so many times
//       "redirect":true          to the very same URL
//       "endless":"headers"      headers, or "body", until the other side has had enough
//       "reset":true             the connection is reset
//       "stall":true             nothing
//     of the fake's own answer to what is carried out
//       "lost":true              nothing; the connection is reset
//       "cut":BYTES              so many bytes, then the connection ends; with "stall" it stays; with "reset" it is reset
//       "damage":true            a bit of the first byte is another
//       "grow":BYTES             it is so much longer than it was to be, or shorter (< 0), and its Content-Length says so
//       "trail":"TEXT"           this after its end
//       "alter":{}               headers that take the place of its own; "" removes one
//     before that, and of the request
//       "do":["/-/name",{}]      a control request
//       "without":"header"       is not seen
//       "harm":true              a bit of each piece of its body is another
//       "hold":BYTES             of its body so many bytes arrive, and nothing more happens until the connection ends
//   GET  /-/state    {"requests":{"METHOD /path":N},"unplayed":[FAULT]} and what the fake adds
//   POST /-/reset    everything is forgotten
// Of fakes that have files():
//   GET  /-/files    {"files":{PATH:SHA-256},"uploads":[PATH] of those under way, as far as it is known}
//   POST /-/write?path=PATH   somebody else writes the body
//   POST /-/change   {"path"}: somebody else writes as many other bytes
//   POST /-/forget   uploads under way are unknown from now on
// With --introspect URL --client ID --secret S, a fake that asks introspected() takes another provider's tokens.
import crypto from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import fs from 'node:fs';
import { once } from 'node:events';

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
 *     requests; may be left out, as may {files(): [path, bytes][], uploads(): path[], write(path, bytes): void, forget(): void}
 */
export function serve(handle, fake) {
	let faults = [];
	const requests = {};

	const sums = new WeakMap(); // of contents
	function sum(bytes) {
		if (!sums.has(bytes)) sums.set(bytes, crypto.createHash('sha256').update(bytes).digest('hex'));
		return sums.get(bytes);
	}
	const shared = fake.files && {
		'/-/files': () => ({
			files: Object.fromEntries(fake.files().map(([path, bytes]) => [path, sum(bytes)])),
			uploads: fake.uploads(),
		}),
		'/-/change': ({ path }) => fake.write(path, Buffer.from(new Map(fake.files()).get(path)).map((b) => ~b)),
		'/-/forget': () => fake.forget(),
	};
	const controls = { ...shared, ...fake.control };

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
		} else if (path === '/-/write' && fake.write) {
			fake.write(new URL(req.url, 'http://localhost').searchParams.get('path'), await body(req));
			json(res, 200, {});
		} else if (controls[path]) {
			const text = (await body(req)).toString();
			json(res, 200, (await controls[path](text === '' ? {} : JSON.parse(text))) ?? {});
		} else json(res, 404, { error: `no control request ${path}` });
	}

	function fault(name) {
		for (const f of faults) {
			if (f.times === 0 || !f.expr.test(name)) continue;
			if (f.after > 0) { f.after--; continue; }
			if (f.times > 0) f.times--;
			return f;
		}
		return undefined;
	}

	/** The answer's first `most` bytes, then the end of the connection, or as `f` says. */
	function cut(res, f) {
		let left = f.cut;
		const write = res.write.bind(res);
		const end = () => {
			if (f.reset) reset(res.socket);
			else if (!f.stall) res.socket?.end();
		};
		res.write = (chunk) => {
			const part = Buffer.from(chunk).subarray(0, left);
			left -= part.length;
			if (part.length > 0) write(part);
			if (left <= 0) setImmediate(end);
			return true;
		};
		res.end = (chunk) => {
			if (chunk) res.write(chunk);
			end();
		};
	}

	/** The answer as the fake gives it, but for what `f` makes of it. */
	function falsify(res, f) {
		const pieces = [];
		const [head, end] = [res.writeHead.bind(res), res.end.bind(res)];
		let status = 200, headers = {};
		res.writeHead = (code, more) => {
			[status, headers] = [code, { ...more }];
			return res;
		};
		res.write = (chunk) => pieces.push(Buffer.from(chunk));
		res.end = (chunk) => {
			let whole = Buffer.concat([...pieces, Buffer.from(chunk ?? '')]);
			if (f.damage && whole.length > 0) whole[0] ^= 1;
			if (f.grow > 0) whole = Buffer.concat([whole, Buffer.alloc(f.grow, 'x')]);
			if (f.grow < 0) whole = whole.subarray(0, f.grow);
			for (const [name, value] of Object.entries({ ...(f.grow && { 'Content-Length': whole.length }), ...f.alter })) {
				for (const old of Object.keys(headers)) if (old.toLowerCase() === name.toLowerCase()) delete headers[old];
				if (value !== '') headers[name] = value;
			}
			const { socket } = res;
			head(status, headers);
			end(whole, () => { if (f.trail) socket.write(f.trail); });
		};
	}

	function harm(req) {
		const pieces = req[Symbol.asyncIterator].bind(req);
		req[Symbol.asyncIterator] = async function* harmed() {
			for await (const piece of pieces()) {
				piece[piece.length - 1] ^= 1;
				yield piece;
			}
		};
	}

	function hold(req, most) {
		// Not events.once(): that one fails with the connection, and here nobody may be waiting for it by then.
		const pieces = req[Symbol.asyncIterator].bind(req), closed = new Promise((ended) => req.socket.once('close', ended));
		req[Symbol.asyncIterator] = async function* held() {
			let left = most;
			for await (const piece of pieces()) {
				if (left > 0) yield piece.subarray(0, left);
				left -= Math.min(left, piece.length);
			}
			await closed;
			throw new Error('the connection has ended');
		};
	}

	async function endless(socket, what) {
		socket.on('error', () => {});
		socket.write(`HTTP/1.1 200 OK\r\n${what === 'body' ? 'Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n' : ''}`);
		const line = what === 'body' ? 'x'.repeat(65536) : `X-Endless: ${'x'.repeat(1000)}\r\n`;
		while (!socket.destroyed) if (!socket.write(line)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
	}

	/** What speaks TLS cannot be reset, only ended. */
	const reset = (socket) => (socket.encrypted ? socket.destroy() : socket.resetAndDestroy());

	async function take(req, res) {
		const url = new URL(req.url, `http://${req.headers.host ?? 'localhost'}`);
		if (url.pathname.startsWith('/-/')) return control(req, res, url.pathname);
		const name = `${req.method} ${url.pathname}`;
		requests[name] = (requests[name] ?? 0) + 1;
		const f = fault(`${req.method} ${req.url}`);
		if (f?.do) await controls[f.do[0]](f.do[1] ?? {});
		if (f?.without) delete req.headers[f.without];
		if (f?.harm) harm(req);
		if (f?.hold !== undefined) hold(req, f.hold);
		if (f?.lost) {
			res.writeHead = () => res;
			res.write = () => true;
			res.end = () => reset(req.socket);
		} else if (f?.cut !== undefined) cut(res, f);
		else if (f?.reset) return reset(req.socket);
		else if (f?.damage || f?.grow || f?.trail || f?.alter) falsify(res, f);
		else if (f && !f.do && !f.without && !f.harm && f.hold === undefined) {
			req.resume();
			await new Promise((ended) => req.on('close', ended).on('end', ended));
			if (f.stall) return undefined;
			if (f.endless) return endless(req.socket, f.endless);
			if (f.redirect) return res.writeHead(302, { Location: req.url, 'Content-Length': 0 }).end();
			const text = (f.body ?? '').repeat(f.repeat ?? 1);
			res.writeHead(f.status ?? 503, { 'Content-Length': Buffer.byteLength(text), ...f.headers });
			return res.end(text);
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
