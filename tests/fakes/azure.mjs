#!/usr/bin/env node
// A stand-in for Azure Blob Storage that really reads the sources it is told to copy from, which Azurite refuses to do for
// any that is not its own ("Put Blob From URL", "Put Block From URL").
//
// What it knows: containers (any name is there), Put Blob, Put Block, Put Block List, Get Block List, Get Blob with ranges and
// If-Match, properties, Delete Blob, List Blobs in one page.  Sources over http are read with the range that is asked
// for, x-ms-source-if-match becomes their If-Match, and x-ms-source-content-md5 is compared.
// What it does not do: signatures, leases, snapshots, tiers, page and append blobs, paging.
//
// GET /-/state adds {"received":BYTES of bodies,"pulled":BYTES read from sources,"blobs":{NAME:{"size","md5","meta"}}}.
import crypto from 'node:crypto';
import http from 'node:http';
import { body, range, serve } from './lib.mjs';

let blobs, blocks, received, pulled, etags;
function reset() {
	blobs = new Map();
	blocks = new Map(); // of a blob's name: id -> content
	received = pulled = etags = 0;
}
reset();

class Refusal extends Error {
	constructor(status, code) { super(code); Object.assign(this, { status, code }); }
}

const md5 = (bytes) => crypto.createHash('md5').update(bytes).digest('base64');

// CRC-64/NVME, the last byte first, as Azure writes it.  In two halves: BigInt is slow.
const CRC64 = Array.from({ length: 256 }, (_, n) => {
	let crc = BigInt(n);
	for (let k = 0; k < 8; k++) crc = crc & 1n ? (crc >> 1n) ^ 0x9a6c9329ac4bc9b5n : crc >> 1n;
	return [Number(crc >> 32n), Number(crc & 0xffffffffn)];
});
const [CRC64_HIGH, CRC64_LOW] = [0, 1].map((half) => Int32Array.from(CRC64, (pair) => pair[half]));
function crc64(bytes) {
	let high = -1, low = -1;
	for (let i = 0; i < bytes.length; i++) {
		const n = (low ^ bytes[i]) & 255;
		low = ((low >>> 8) | (high << 24)) ^ CRC64_LOW[n];
		high = (high >>> 8) ^ CRC64_HIGH[n];
	}
	const out = Buffer.alloc(8);
	out.writeUInt32LE(~low >>> 0, 0);
	out.writeUInt32LE(~high >>> 0, 4);
	return out.toString('base64');
}
const sums = (bytes) => ({ 'Content-MD5': md5(bytes), 'x-ms-content-crc64': crc64(bytes) });
const xml = (text) => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]);

function source(req) {
	return new Promise((resolve, refuse) => {
		const headers = {};
		if (req.headers['x-ms-source-range']) headers.Range = req.headers['x-ms-source-range'];
		if (req.headers['x-ms-source-if-match']) headers['If-Match'] = req.headers['x-ms-source-if-match'];
		const fetching = http.get(req.headers['x-ms-copy-source'], { headers }, async (res) => {
			try {
				const bytes = await body(res);
				if (res.statusCode === 412) throw new Refusal(412, 'SourceConditionNotMet');
				if (res.statusCode > 299) throw new Refusal(res.statusCode, 'CannotVerifyCopySource');
				pulled += bytes.length;
				const wanted = req.headers['x-ms-source-content-md5'];
				if (wanted && wanted !== md5(bytes)) throw new Refusal(400, 'Md5Mismatch');
				resolve(bytes);
			} catch (e) { refuse(e); }
		});
		fetching.on('error', () => refuse(new Refusal(400, 'CannotVerifyCopySource')));
	});
}

async function content(req) {
	if (req.headers['x-ms-copy-source']) {
		await body(req);
		return source(req);
	}
	const bytes = await body(req);
	received += bytes.length;
	return bytes;
}

function attributes(req) {
	const meta = Object.fromEntries(Object.entries(req.headers).filter(([name]) => name.startsWith('x-ms-meta-')));
	return { meta, type: req.headers['x-ms-blob-content-type'] ?? 'application/octet-stream' };
}

function keep(req, res, name, bytes, hash) {
	if (req.headers['if-none-match'] === '*' && blobs.has(name)) throw new Refusal(409, 'BlobAlreadyExists');
	const blob = { bytes, md5: hash, etag: `"0x${(++etags).toString(16)}"`, at: new Date(), ...attributes(req) };
	blobs.set(name, blob);
	answer(res, 201, { ETag: blob.etag, 'Last-Modified': blob.at.toUTCString(), ...(hash && sums(bytes)) });
}

function answer(res, status, headers = {}, bytes = '') {
	res.writeHead(status, { 'x-ms-version': '2021-12-02', 'Content-Length': Buffer.byteLength(bytes), ...headers });
	res.end(bytes);
}

function answer_blob(req, res, blob) {
	if (!blob) throw new Refusal(404, 'BlobNotFound');
	if (req.headers['if-match'] && req.headers['if-match'] !== blob.etag) throw new Refusal(412, 'ConditionNotMet');
	const part = range(req.headers['x-ms-range'] ?? req.headers.range, blob.bytes.length);
	if (part === undefined) throw new Refusal(416, 'InvalidRange');
	const bytes = part ? blob.bytes.subarray(...part) : blob.bytes;
	const whole = blob.md5 && { [part ? 'x-ms-blob-content-md5' : 'Content-MD5']: blob.md5 };
	const headers = { ETag: blob.etag, 'Last-Modified': blob.at.toUTCString(), 'Content-Type': blob.type, 'Content-Length': bytes.length,
		'x-ms-blob-type': 'BlockBlob', ...whole, ...blob.meta,
		...(part && { 'Content-Range': `bytes ${part[0]}-${part[1] - 1}/${blob.bytes.length}` }) };
	res.writeHead(part ? 206 : 200, headers);
	res.end(req.method === 'HEAD' ? undefined : bytes);
}

function list(res, container, prefix, delimiter) {
	const found = new Set(), items = [];
	for (const [name, blob] of [...blobs].sort(([a], [b]) => (a < b ? -1 : 1))) {
		if (!name.startsWith(`${container}/${prefix}`)) continue;
		const key = name.slice(container.length + 1), cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
		if (cut >= 0) found.add(key.slice(0, cut + 1));
		else items.push(`<Blob><Name>${xml(key)}</Name><Properties><Last-Modified>${blob.at.toUTCString()}</Last-Modified><Etag>${blob.etag.slice(1, -1)}</Etag>`
			+ `<Content-Length>${blob.bytes.length}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>`);
	}
	const prefixes = [...found].map((p) => `<BlobPrefix><Name>${xml(p)}</Name></BlobPrefix>`);
	answer(res, 200, { 'Content-Type': 'application/xml' }, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${items.join('')}${prefixes.join('')}</Blobs><NextMarker/></EnumerationResults>`);
}

function list_blocks(res, name, which) {
	const of = (id, size) => `<Block><Name>${id}</Name><Size>${size}</Size></Block>`;
	const waiting = which === 'committed' ? '' : [...(blocks.get(name) ?? [])].map(([id, b]) => of(id, b.length)).join('');
	const kept = which === 'uncommitted' ? '' : (blobs.get(name)?.ids ?? []).map(({ id, size }) => of(id, size)).join('');
	const blob = blobs.get(name);
	answer(res, 200, { 'Content-Type': 'application/xml', ...(blob && { ETag: blob.etag, 'Last-Modified': blob.at.toUTCString() }) }, `<?xml version="1.0" encoding="utf-8"?><BlockList><CommittedBlocks>${kept}</CommittedBlocks><UncommittedBlocks>${waiting}</UncommittedBlocks></BlockList>`);
}

async function commit(req, res, name) {
	const ids = [...(await body(req)).toString().matchAll(/<Uncommitted>([^<]*)<\/Uncommitted>/g)].map((m) => m[1]);
	const waiting = blocks.get(name) ?? new Map();
	if (ids.some((id) => !waiting.has(id))) throw new Refusal(400, 'InvalidBlockList');
	keep(req, res, name, Buffer.concat(ids.map((id) => waiting.get(id))), req.headers['x-ms-blob-content-md5']);
	blobs.get(name).ids = ids.map((id) => ({ id, size: waiting.get(id).length }));
	blocks.delete(name);
}

async function put(req, res, name, query) {
	if (query.get('comp') === 'blocklist') return commit(req, res, name);
	const bytes = await content(req), said = req.headers['content-md5'];
	if (said && said !== md5(bytes)) throw new Refusal(400, 'Md5Mismatch');
	if (query.get('comp') !== 'block') return keep(req, res, name, bytes, md5(bytes));
	if (!blocks.has(name)) blocks.set(name, new Map());
	blocks.get(name).set(query.get('blockid'), bytes);
	answer(res, 201, sums(bytes));
}

async function handle(req, res, url) {
	const [, , container, ...rest] = url.pathname.split('/').map(decodeURIComponent);
	const query = url.searchParams, key = rest.join('/'), name = `${container}/${key}`;
	try {
		if (key === '') {
			if (query.get('comp') === 'list') return list(res, container, query.get('prefix') ?? '', query.get('delimiter'));
			return answer(res, req.method === 'PUT' ? 201 : 200);
		}
		if (req.method === 'PUT') return await put(req, res, name, query);
		if (query.get('comp') === 'blocklist') return list_blocks(res, name, query.get('blocklisttype'));
		if (req.method !== 'DELETE') return answer_blob(req, res, blobs.get(name));
		if (!blobs.has(name)) throw new Refusal(404, 'BlobNotFound');
		if (req.headers['if-match'] && req.headers['if-match'] !== blobs.get(name).etag) throw new Refusal(412, 'ConditionNotMet');
		blobs.delete(name);
		answer(res, 202);
	} catch (e) {
		if (!(e instanceof Refusal)) throw e;
		answer(res, e.status, { 'x-ms-error-code': e.code, 'Content-Type': 'application/xml' }, req.method === 'HEAD' ? '' : `<?xml version="1.0" encoding="utf-8"?><Error><Code>${e.code}</Code><Message>${e.code}</Message></Error>`);
	}
}

function write(path, bytes) {
	blobs.set(path, { bytes, md5: md5(bytes), etag: `"0x${(++etags).toString(16)}"`, at: new Date(), meta: {}, type: 'application/octet-stream' });
}

serve(handle, {
	reset, write,
	files: () => [...blobs].map(([name, b]) => [name, b.bytes]),
	uploads: () => [...blocks.keys()],
	forget: () => blocks.clear(),
	state: () => ({ received, pulled, blobs: Object.fromEntries([...blobs].map(([name, b]) => [name, { size: b.bytes.length, md5: md5(b.bytes), meta: b.meta }])) }),
	hello: { kind: 'azure' },
});
