// A fake of Google Drive, API v3, in memory, by its published reference ("Google Drive API v3", "Upload file data",
// "Search for files and folders", "Resolve errors", "Export MIME types for Google Workspace documents"): files, folders,
// documents, shared drives, revisions, resumable uploads, exports, and the token endpoint of OAuth 2.0.
//
// It prints {"endpoint","pid","tokenPath","clientId","clientSecret","refreshToken","token"}; `token` never expires.
//
//   POST /-/expire        every access token but `token` is refused from now on
//   POST /-/revoke        the refresh token is revoked; /-/grant takes that back
//   POST /-/forget        every upload session is unknown from now on
//   POST /-/lag {"names":["N"]}  lists do not show files of these names yet: the index is behind
//   POST /-/lose          page tokens of changes are refused from now on, but those that are given from now on
//   POST /-/viewer {"names":["N"]}  revisions of these files cannot be read, as with files that others share
//   POST /-/edit {"name":"N","text":"T","size":BYTES}  somebody writes the document; its exports have at least so many bytes
//
// As the real one: names are compared without regard to case, lists are at most 1,000 files, ids of new files must come
// from generateIds, chunks are multiples of 256 KiB, of a chunk that breaks off whole ones are kept; exports are sent in
// chunks without a length, know no ranges, have at most 10 MB, and no two of a document are the same bytes.  Stricter: a chunk
// must begin where the session is, and generated ids are not taken twice.
// It does not do: permissions and other users, shortcuts' targets, labels, comments, thumbnails, watching, batches,
// quotas of requests (see /-/faults), the user's bandwidth, search in contents, revisions that are dropped with time.  Of
// changes: those of shared drives themselves, files that leave a shared drive (includeCorpusRemovals), spaces; a change is
// told at once.
import crypto from 'node:crypto';
import { once } from 'node:events';
import { body, json, range, serve, arg } from './lib.mjs';

const CHUNK = 256 * 1024;
const APPS = 'application/vnd.google-apps.';
const FOLDER = `${APPS}folder`;
const EXPORT_MAX = 10 * 2 ** 20;
const [ooxml, oasis] = ['application/vnd.openxmlformats-officedocument.', 'application/vnd.oasis.opendocument.'];
const pictures = ['image/jpeg', 'image/png', 'image/svg+xml'];
const EXPORTS = {
	document: [`${ooxml}wordprocessingml.document`, `${oasis}text`, 'application/rtf', 'application/pdf', 'text/plain', 'text/html', 'application/zip', 'application/epub+zip', 'text/markdown'],
	spreadsheet: [`${ooxml}spreadsheetml.sheet`, `${oasis}spreadsheet`, 'application/pdf', 'application/zip', 'text/csv', 'text/tab-separated-values'],
	presentation: [`${ooxml}presentationml.presentation`, `${oasis}presentation`, 'application/pdf', 'text/plain', ...pictures],
	drawing: ['application/pdf', ...pictures],
	script: ['application/vnd.google-apps.script+json'],
};
const QUOTA = Number(arg('--quota') ?? 15 * 2 ** 30);
const client = { id: 'fake-client', secret: 'fake-secret', refresh: '1//fake-refresh' };
const forever = 'ya29.forever';

let files, drives, sessions, generated, tokens, revoked, received, serial, lagging, viewed, changes, lost, exported;

function reset() {
	files = new Map();
	drives = new Map();
	sessions = new Map();
	generated = new Set();
	tokens = new Set([forever]);
	lagging = viewed = [];
	changes = [];
	lost = 0;
	revoked = false;
	received = serial = exported = 0;
	files.set('0AFakeRoot', folder('0AFakeRoot', 'My Drive', []));
}

const now = () => new Date().toISOString();
const stamp = (text) => new Date(text).toISOString();
const newId = () => `1${crypto.randomBytes(24).toString('base64url')}`;
const hash = (type, bytes) => crypto.createHash(type).update(bytes).digest('hex');

function folder(id, name, parents, driveId) {
	return { id, name, mimeType: FOLDER, parents, driveId, trashed: false, createdTime: now(), modifiedTime: now(), revisions: [], version: ++serial };
}

class Fault extends Error {
	constructor(status, reason, message, more = {}) {
		super(message);
		Object.assign(this, { status, reason, more });
	}
}
const notFound = (id) => new Fault(404, 'notFound', `File not found: ${id}.`, { location: 'fileId', locationType: 'parameter' });
const invalid = (name, value) => new Fault(400, 'invalid', `Invalid Value: ${name}=${value}`, { location: name, locationType: 'parameter' });

function refuse(res, fault) {
	const first = { message: fault.message, domain: fault.status === 403 && /[lL]imit/.test(fault.reason) ? 'usageLimits' : 'global', reason: fault.reason, ...fault.more };
	json(res, fault.status, { error: { errors: [first], code: fault.status, message: fault.message } });
}

// What a file is to whoever asks.

function resource(f) {
	const last = f.revisions.at(-1);
	return {
		kind: 'drive#file', id: f.id, name: f.name, mimeType: f.mimeType, parents: f.parents, trashed: isTrashed(f), explicitlyTrashed: f.trashed,
		createdTime: f.createdTime, modifiedTime: f.modifiedTime, version: String(f.version), spaces: ['drive'], ownedByMe: f.driveId === undefined,
		starred: false, description: f.description, properties: f.properties, appProperties: f.appProperties, driveId: f.driveId,
		capabilities: { canEdit: true, canDownload: true, canReadRevisions: !viewed.includes(f.name) },
		...(EXPORTS[f.mimeType.slice(APPS.length)] && { size: '1024' }), // what it takes of the quota, not of any export
		...(last && {
			size: String(last.content.length), md5Checksum: hash('md5', last.content), sha1Checksum: hash('sha1', last.content),
			sha256Checksum: hash('sha256', last.content), headRevisionId: last.id, originalFilename: f.name,
		}),
	};
}

/** "a,b(c,d/e)" as {a: true, b: {c: true, d: {e: true}}}. */
function mask(text) {
	let at = 0;
	const read = () => {
		const out = {};
		while (at < text.length && text[at] !== ')') {
			const name = /^[\w*]+/.exec(text.slice(at))?.[0];
			if (!name) throw new Fault(400, 'invalidParameter', `Invalid field selection ${text}`, { location: 'fields', locationType: 'parameter' });
			at += name.length;
			if (text[at] === '(') { at++; out[name] = read(); at++; } else if (text[at] === '/') { at++; out[name] = { ...out[name], ...one() }; } else out[name] = true;
			if (text[at] === ',') at++;
		}
		return out;
	};
	const one = () => {
		const name = /^[\w*]+/.exec(text.slice(at))[0];
		at += name.length;
		if (text[at] === '(') { at++; const inner = read(); at++; return { [name]: inner }; }
		if (text[at] !== '/') return { [name]: true };
		at++;
		return { [name]: one() };
	};
	return read();
}

function pick(value, want) {
	if (want === true || want['*'] || value === null || typeof value !== 'object') return value;
	if (Array.isArray(value)) return value.map((v) => pick(v, want));
	return Object.fromEntries(Object.entries(value).filter(([k]) => want[k]).map(([k, v]) => [k, pick(v, want[k])]));
}

const shown = (value, params, normal) => pick(value, mask(params.get('fields') ?? normal));
const FILE_FIELDS = 'kind,id,name,mimeType';

// "Search for files and folders": terms, and, or, not, parentheses.

function parse(text) {
	const words = [];
	const lexer = /\s*(?:'((?:[^'\\]|\\.)*)'|([()])|(!=|<=|>=|=|<|>)|([\w.]+))/gy;
	for (let found; lexer.lastIndex < text.trimEnd().length; words.push(found)) {
		found = lexer.exec(text);
		if (!found) throw invalid('q', text);
	}
	let at = 0;
	const bad = () => { throw invalid('q', text); };
	const word = (value) => words[at]?.[4] === value && (at++, true);
	const string = () => (words[at]?.[1] === undefined ? bad() : words[at++][1].replace(/\\(.)/g, '$1'));
	const any = () => { let a = all(); while (word('or')) { const b = all(), c = a; a = (f) => c(f) || b(f); } return a; };
	const all = () => { let a = one(); while (word('and')) { const b = one(), c = a; a = (f) => c(f) && b(f); } return a; };
	const one = () => {
		if (word('not')) { const a = one(); return (f) => !a(f); }
		if (words[at]?.[2] === '(') { at++; const a = any(); if (words[at++]?.[2] !== ')') bad(); return a; }
		if (words[at]?.[1] !== undefined) {
			const id = actual(string());
			return word('in') && word('parents') ? (f) => f.parents.includes(id) : bad();
		}
		const field = words[at++]?.[4], operator = words[at]?.[3] ?? words[at]?.[4];
		at++;
		if (field === 'trashed' && (operator === '=' || operator === '!=')) {
			const want = (words[at++][4] === 'true') === (operator === '=');
			return (f) => isTrashed(f) === want;
		}
		if (field === 'name' || field === 'mimeType') {
			const want = string().toLowerCase(), get = (f) => f[field].toLowerCase();
			switch (operator) {
			case '=': return (f) => get(f) === want;
			case '!=': return (f) => get(f) !== want;
			case 'contains': return (f) => get(f).startsWith(want);
			}
		}
		return bad();
	};
	const result = any();
	return at === words.length ? result : bad();
}

const actual = (id) => (id === 'root' ? '0AFakeRoot' : id);
const isTrashed = (f) => f.trashed || f.parents.some((p) => files.has(p) && isTrashed(files.get(p)));

function find(id, params) {
	const f = files.get(actual(id));
	if (!f || (f.driveId && params.get('supportsAllDrives') !== 'true')) throw notFound(id);
	return f;
}

function touch(f) {
	f.version = ++serial;
	changes.push(f);
}

const used = () => [...files.values()].flatMap((f) => f.revisions).reduce((sum, r) => sum + r.content.length, 0);

function page(params, all, most, normal) {
	const size = Number(params.get('pageSize') ?? normal), from = Number(params.get('pageToken') ?? 0);
	if (!(size >= 1 && size <= most)) throw invalid('pageSize', params.get('pageSize'));
	if (!(from >= 0)) throw invalid('pageToken', params.get('pageToken'));
	return { items: all.slice(from, from + size), next: from + size < all.length ? { nextPageToken: String(from + size) } : {} };
}

function list(params, res) {
	const matches = parse(params.get('q') ?? 'trashed = true or trashed = false');
	const drive = params.get('driveId'), everywhere = params.get('includeItemsFromAllDrives') === 'true';
	if ((params.get('corpora') === 'drive') !== (drive !== null)) throw invalid('driveId', drive);
	if (drive && !drives.has(drive)) throw new Fault(404, 'notFound', `Shared drive not found: ${drive}`);
	if (drive && !everywhere) throw new Fault(403, 'teamDrivesParentLimit', 'includeItemsFromAllDrives must be true');
	const all = [...files.values()].filter((f) => f.parents.length > 0 && (f.driveId ? everywhere : true) && (!drive || f.driveId === drive) && !lagging.includes(f.name) && matches(f));
	// In no order that anybody could rely on.
	all.sort((a, b) => (hash('md5', a.id) < hash('md5', b.id) ? -1 : 1));
	const { items, next } = page(params, all, 1000, 100);
	json(res, 200, shown({ kind: 'drive#fileList', incompleteSearch: false, ...next, files: items.map(resource) }, params,
	    `kind,incompleteSearch,nextPageToken,files(${FILE_FIELDS})`));
}

// What changes.

const WRITABLE = ['name', 'mimeType', 'description', 'starred', 'trashed', 'modifiedTime', 'properties', 'appProperties'];

function apply(f, meta) {
	for (const name of WRITABLE) {
		if (meta[name] === undefined) continue;
		if (name === 'appProperties' || name === 'properties') {
			f[name] = Object.fromEntries(Object.entries({ ...f[name], ...meta[name] }).filter(([, v]) => v !== null));
			for (const [k, v] of Object.entries(f[name])) if (Buffer.byteLength(k + v) > 124) throw new Fault(400, 'invalid', 'Property too long');
		} else if (name === 'modifiedTime') {
			if (Number.isNaN(Date.parse(meta[name]))) throw invalid(name, meta[name]);
			f[name] = stamp(meta[name]);
		} else f[name] = meta[name];
	}
}

function claim(id) {
	if (id === undefined) return newId();
	if (files.has(id)) throw new Fault(409, 'fileIdInUse', 'A file already exists with the provided ID.');
	if (!generated.has(id)) throw new Fault(400, 'invalid', 'The provided file ID is not usable.');
	return id;
}

function create(meta, content, params, copied) {
	const parents = meta.parents ?? ['root'];
	if (parents.length !== 1) throw new Fault(403, 'multipleParentsNotSupported', 'A file has exactly one parent.');
	const parent = find(parents[0], params);
	if (parent.mimeType !== FOLDER) throw new Fault(403, 'parentNotAFolder', 'The specified parent is not a folder.');
	const type = copied?.mimeType ?? meta.mimeType;
	if (meta.id !== undefined && type?.startsWith(APPS) && type !== FOLDER)
		throw new Fault(400, 'invalid', 'Generated ids are not for documents of Google.');
	const f = { ...folder(claim(meta.id), meta.name ?? 'Untitled', [parent.id], parent.driveId), mimeType: 'application/octet-stream', ...copied };
	if (meta.createdTime) f.createdTime = stamp(meta.createdTime);
	apply(f, meta);
	if (content === undefined && !f.mimeType.startsWith(APPS)) content = Buffer.alloc(0);
	if (content !== undefined) write(f, content);
	files.set(f.id, f);
	touch(f);
	return f;
}

function write(f, content) {
	if (f.mimeType.startsWith(APPS)) throw new Fault(403, 'fileNotDownloadable', 'Only files with binary content have one.');
	if (used() + content.length > QUOTA) throw new Fault(403, 'storageQuotaExceeded', "The user's Drive storage quota has been exceeded.");
	f.revisions.push({ id: `0B${crypto.randomBytes(18).toString('base64url')}`, content, modifiedTime: now() });
}

function update(f, meta, content, params) {
	for (const name of Object.keys(meta)) {
		if (['parents', 'id', 'createdTime', 'headRevisionId', 'size'].includes(name))
			throw new Fault(403, 'fieldNotWritable', `The resource body includes fields which are not directly writable: ${name}.`);
	}
	for (const id of (params.get('removeParents') ?? '').split(',').filter(Boolean)) f.parents = f.parents.filter((p) => p !== actual(id));
	for (const id of (params.get('addParents') ?? '').split(',').filter(Boolean)) {
		const parent = find(id, params);
		if (parent.mimeType !== FOLDER) throw new Fault(403, 'parentNotAFolder', 'The specified parent is not a folder.');
		for (let up = parent; up; up = files.get(up.parents[0])) if (up === f) throw new Fault(403, 'cyclicParent', 'A folder cannot be in itself.');
		f.parents = [...new Set([...f.parents, parent.id])];
	}
	if (f.parents.length !== 1) throw new Fault(403, 'multipleParentsNotSupported', 'A file has exactly one parent.');
	if (content !== undefined) { write(f, content); f.modifiedTime = now(); }
	apply(f, meta);
	touch(f);
	return f;
}

function remove(f) {
	for (const child of [...files.values()]) if (child.parents.includes(f.id)) remove(child);
	files.delete(f.id);
	changes.push(f);
}

const metadata = (bytes) => {
	try {
		return bytes.length === 0 ? {} : JSON.parse(bytes.toString());
	} catch {
		throw new Fault(400, 'parseError', 'Parse Error');
	}
};

/** multipart/related: the metadata and the content. */
function parts(bytes, type) {
	const boundary = /boundary="?([^";]+)"?/.exec(type ?? '')?.[1];
	if (!boundary) throw new Fault(400, 'badContent', 'Missing multipart boundary');
	const mark = Buffer.from(`--${boundary}`), out = [];
	for (let at = bytes.indexOf(mark); ;) {
		const next = bytes.indexOf(mark, at + mark.length);
		if (next < 0) break;
		const part = bytes.subarray(at + mark.length, next), head = part.indexOf('\r\n\r\n');
		out.push({ type: /content-type: *([^\r\n]+)/i.exec(part.subarray(0, head).toString())?.[1], content: part.subarray(head + 4, part.length - 2) });
		at = next;
	}
	if (out.length !== 2) throw new Fault(400, 'badContent', 'Multipart must have two parts');
	return out;
}

async function upload(req, res, url, id) {
	const params = url.searchParams, f = id === undefined ? undefined : find(id, params);
	const make = (meta, type, content) => {
		if (type && meta.mimeType === undefined && !f) meta.mimeType = type.split(';')[0];
		return f ? update(f, meta, content, params) : create(meta, content, params);
	};
	const type = params.get('uploadType'), answer = (made, to = res) => json(to, 200, shown(resource(made), params, FILE_FIELDS));
	if (req.method !== (id === undefined ? 'POST' : 'PATCH')) throw new Fault(405, 'methodNotAllowed', 'Method Not Allowed');
	if (type === 'media') return answer(make({}, req.headers['content-type'], await body(req)));
	if (type === 'multipart') {
		const [meta, content] = parts(await body(req), req.headers['content-type']);
		return answer(make(metadata(meta.content), content.type, content.content));
	}
	if (type !== 'resumable') throw invalid('uploadType', type);
	const meta = metadata(await body(req)), session = crypto.randomBytes(24).toString('base64url');
	if (!f && meta.id !== undefined) claim(meta.id);
	if (!f) find(meta.parents?.[0] ?? 'root', params);
	const declared = req.headers['x-upload-content-length'];
	sessions.set(session, { name: f?.name ?? meta.name, make: (content) => make(meta, req.headers['x-upload-content-type'], content), pieces: [], length: 0, total: declared === undefined ? undefined : Number(declared), answer });
	const back = new URL(url);
	back.protocol = arg('--cert') ? 'https:' : 'http:';
	back.searchParams.set('upload_id', session);
	res.writeHead(200, { Location: back.href, 'X-GUploader-UploadID': session, 'Content-Length': 0 });
	res.end();
}

/** What arrives of a chunk: all of it, or whole 256 KiB of what there is when it breaks off. */
async function take(req, s) {
	const pieces = [];
	let length = 0, whole = false;
	try {
		for await (const piece of req) {
			pieces.push(piece);
			length += piece.length;
		}
		whole = length === Number(req.headers['content-length'] ?? length);
	} catch { /* it broke off */ }
	const keep = whole ? length : length - (length % CHUNK);
	s.pieces.push(Buffer.concat(pieces).subarray(0, keep));
	s.length += keep;
	received += keep;
	return whole;
}

async function resume(req, res, url) {
	const s = sessions.get(url.searchParams.get('upload_id'));
	const waits = () => {
		res.writeHead(308, { ...(s.length > 0 && { Range: `bytes=0-${s.length - 1}` }), 'Content-Length': 0 });
		res.end();
	};
	if (!s) throw new Fault(404, 'notFound', 'Upload session not found');
	if (req.method === 'DELETE') {
		sessions.delete(url.searchParams.get('upload_id'));
		res.writeHead(499, { 'Content-Length': 0 });
		return res.end();
	}
	if (req.method !== 'PUT' && req.method !== 'POST') throw new Fault(405, 'methodNotAllowed', 'Method Not Allowed');
	if (s.made) return s.answer(find(s.made, new URLSearchParams('supportsAllDrives=true')), res);
	const header = req.headers['content-range'];
	const found = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header ?? `bytes 0-${Number(req.headers['content-length']) - 1}/${req.headers['content-length']}`);
	if (!found && !(header === undefined && req.headers['content-length'] === '0')) throw new Fault(400, 'badRequest', `Failed to parse Content-Range header: ${header}`);
	const [, from, to, total] = found ?? [undefined, undefined, undefined, '0'];
	if (total !== '*') {
		if (s.total !== undefined && s.total !== Number(total)) throw new Fault(400, 'badRequest', 'The total is not the one that was declared');
		s.total = Number(total);
	}
	if (from !== undefined) {
		const length = Number(to) - Number(from) + 1, last = total !== '*' && Number(to) + 1 === s.total;
		if (length < 1 || (s.total !== undefined && Number(to) >= s.total)) throw new Fault(400, 'badRequest', 'Invalid Content-Range');
		if (Number(from) !== s.length) throw new Fault(400, 'badRequest', `Invalid request. The chunk must begin at ${s.length}.`);
		if (!last && length % CHUNK !== 0) throw new Fault(400, 'badRequest', 'Invalid request. The number of bytes uploaded is required to be equal or greater than 262144, except for the final request');
		if (Number(req.headers['content-length']) !== length) throw new Fault(400, 'badRequest', 'Content-Length does not match Content-Range');
		if (!(await take(req, s))) return res.destroy();
	} else req.resume();
	if (s.length !== s.total) return waits();
	s.made = s.make(Buffer.concat(s.pieces)).id;
	s.pieces = [];
	return s.answer(files.get(s.made), res);
}

function media(req, res, content, type) {
	const wanted = range(req.headers.range, content.length);
	if (wanted === undefined) throw new Fault(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
	const bytes = wanted ? content.subarray(wanted[0], wanted[1]) : content;
	res.writeHead(wanted ? 206 : 200, {
		'Content-Type': type, 'Content-Length': bytes.length,
		...(wanted && { 'Content-Range': `bytes ${wanted[0]}-${wanted[1] - 1}/${content.length}` }),
	});
	for (let at = 0; at < bytes.length; at += 65536) res.write(bytes.subarray(at, at + 65536));
	res.end();
}

/** files.export: knows no parameter for shared drives, and needs none. */
async function send(res, params, id) {
	const f = find(id, new URLSearchParams('supportsAllDrives=true')), type = params.get('mimeType');
	if (!type) throw new Fault(400, 'required', 'Required parameter: mimeType', { location: 'mimeType', locationType: 'parameter' });
	if (f.mimeType === FOLDER || !f.mimeType.startsWith(APPS)) throw new Fault(403, 'fileNotExportable', 'Export only supports Docs Editors files.');
	if (!EXPORTS[f.mimeType.slice(APPS.length)]?.includes(type)) throw new Fault(400, 'badRequest', 'The requested conversion is not supported.', { location: 'convertTo', locationType: 'parameter' });
	const text = `${f.name} as ${type}: ${f.text ?? ''}\nexport ${++exported}${'!'.repeat(exported % 5)}\n`;
	const bytes = Buffer.from(text.padEnd(f.exportSize ?? 0, '.'));
	if (bytes.length > EXPORT_MAX) throw new Fault(403, 'exportSizeLimitExceeded', 'This file is too large to be exported.');
	res.writeHead(200, { 'Content-Type': type });
	for (let at = 0; at < bytes.length && !res.destroyed; at += 65536) {
		if (!res.write(bytes.subarray(at, at + 65536))) await Promise.race([once(res, 'drain'), once(res, 'close')]);
		if (at % 2 ** 20 === 0) await new Promise((on) => setTimeout(on, 5)); // it comes as it is made, not in one go
	}
	res.end();
}

async function one(req, res, params, id, what, revision) {
	if (what === 'export' && req.method === 'GET') return send(res, params, id);
	const f = find(id, params), last = f.revisions.at(-1);
	if (what === 'copy' && req.method === 'POST') {
		if (f.mimeType === FOLDER) throw new Fault(403, 'cannotCopyFile', 'This file cannot be copied by the user.');
		const meta = metadata(await body(req));
		const made = create({ name: `Copy of ${f.name}`, parents: f.parents, ...meta }, last?.content, params, { mimeType: f.mimeType, text: f.text, exportSize: f.exportSize, modifiedTime: now(), properties: f.properties, appProperties: f.appProperties });
		return json(res, 200, shown(resource(made), params, FILE_FIELDS));
	}
	if (what === 'revisions' && req.method === 'GET') {
		if (viewed.includes(f.name)) throw new Fault(403, 'insufficientFilePermissions', 'The user does not have sufficient permissions for this file.');
		const show = (r) => ({ kind: 'drive#revision', id: r.id, modifiedTime: r.modifiedTime, size: String(r.content.length), md5Checksum: hash('md5', r.content) });
		if (revision === undefined) return json(res, 200, { kind: 'drive#revisionList', revisions: f.revisions.map(show) });
		const r = revision === 'head' ? last : f.revisions.find((x) => x.id === revision);
		if (!r) throw new Fault(404, 'notFound', `Revision not found: ${revision}.`);
		return params.get('alt') === 'media' ? media(req, res, r.content, f.mimeType) : json(res, 200, show(r));
	}
	if (what !== undefined) throw new Fault(404, 'notFound', 'Not Found');
	switch (req.method) {
	case 'GET':
		if (params.get('alt') !== 'media') return json(res, 200, shown(resource(f), params, FILE_FIELDS));
		if (!last) throw new Fault(403, 'fileNotDownloadable', 'Only files with binary content can be downloaded. Use Export with Docs Editors files.', { location: 'alt', locationType: 'parameter' });
		return media(req, res, last.content, f.mimeType);
	case 'PATCH': return json(res, 200, shown(resource(update(f, metadata(await body(req)), undefined, params)), params, FILE_FIELDS));
	case 'DELETE':
		if (f.parents.length === 0) throw new Fault(403, 'rootNotDeletable', 'The root folder cannot be deleted.');
		remove(f);
		res.writeHead(204);
		return res.end();
	}
	throw new Fault(405, 'methodNotAllowed', 'Method Not Allowed');
}

function generate(res, params) {
	const ids = Array.from({ length: Number(params.get('count') ?? 10) }, newId);
	if (ids.length < 1 || ids.length > 1000) throw invalid('count', params.get('count'));
	ids.forEach((id) => generated.add(id));
	json(res, 200, { kind: 'drive#generatedIds', space: 'drive', ids });
}

async function shared(req, res, params, id) {
	if (req.method === 'POST') {
		const drive = { kind: 'drive#drive', id: `0A${crypto.randomBytes(12).toString('base64url')}`, name: metadata(await body(req)).name };
		if (!params.get('requestId')) throw new Fault(400, 'required', 'Required parameter: requestId');
		drives.set(drive.id, drive);
		files.set(drive.id, folder(drive.id, drive.name, [], drive.id));
		return json(res, 200, drive);
	}
	if (id === undefined) return json(res, 200, { kind: 'drive#driveList', drives: [...drives.values()] });
	if (!drives.has(id)) throw new Fault(404, 'notFound', `Shared drive not found: ${id}`);
	return json(res, 200, drives.get(id));
}

/** A file is told once, with what it is now, in the place of its last change.  Tokens are places in the log of all. */
function follow(res, params, first) {
	const drive = params.get('driveId'), everywhere = params.get('includeItemsFromAllDrives') === 'true';
	if (drive && !drives.has(drive)) throw new Fault(404, 'notFound', `Shared drive not found: ${drive}`);
	if (drive && params.get('supportsAllDrives') !== 'true') throw new Fault(403, 'teamDrivesParentLimit', 'supportsAllDrives must be true');
	if (first) return json(res, 200, shown({ kind: 'drive#startPageToken', startPageToken: String(changes.length) }, params, '*'));
	if (!params.has('pageToken')) throw new Fault(400, 'required', 'Required parameter: pageToken', { location: 'pageToken', locationType: 'parameter' });
	if (drive && !everywhere) throw new Fault(403, 'teamDrivesParentLimit', 'includeItemsFromAllDrives must be true');
	const from = Number(params.get('pageToken')), size = Number(params.get('pageSize') ?? 100);
	if (!(from >= lost && from <= changes.length)) throw invalid('pageToken', params.get('pageToken'));
	if (!(size >= 1 && size <= 1000)) throw invalid('pageSize', params.get('pageSize'));
	let to = from;
	const told = [];
	for (; to < changes.length && told.length < size; to++) {
		const f = changes[to], removed = !files.has(f.id);
		if (changes.lastIndexOf(f) !== to || (drive ? f.driveId !== drive : f.driveId && !everywhere)) continue;
		if (removed && params.get('includeRemoved') === 'false') continue;
		told.push({ kind: 'drive#change', changeType: 'file', time: f.modifiedTime, fileId: f.id, removed, ...(!removed && { file: resource(f) }) });
	}
	return json(res, 200, shown({
		kind: 'drive#changeList', ...(to < changes.length ? { nextPageToken: String(to) } : { newStartPageToken: String(to) }), changes: told,
	}, params, 'kind,nextPageToken,newStartPageToken,changes(kind,changeType,time,fileId,removed,file(kind,id,name,mimeType))'));
}

function about(res, params) {
	if (!params.get('fields')) throw new Fault(400, 'required', "The 'fields' parameter is required for this method.", { location: 'fields', locationType: 'parameter' });
	json(res, 200, shown({
		kind: 'drive#about', user: { kind: 'drive#user', displayName: 'Fake', emailAddress: 'fake@example.com', permissionId: '0123', me: true },
		storageQuota: { limit: String(QUOTA), usage: String(used()), usageInDrive: String(used()), usageInDriveTrash: '0' },
	}, params, '*'));
}

async function token(req, res) {
	const form = new URLSearchParams((await body(req)).toString());
	const no = (status, error, description) => json(res, status, { error, error_description: description });
	const basic = /^Basic (.*)$/.exec(req.headers.authorization ?? '');
	const [id, secret] = basic ? Buffer.from(basic[1], 'base64').toString().split(':') : [form.get('client_id'), form.get('client_secret')];
	if (id !== client.id || secret !== client.secret) return no(401, 'invalid_client', 'The OAuth client was not found.');
	if (form.get('grant_type') !== 'refresh_token') return no(400, 'unsupported_grant_type', 'Invalid grant_type.');
	if (revoked || form.get('refresh_token') !== client.refresh) return no(400, 'invalid_grant', 'Token has been expired or revoked.');
	const made = `ya29.${crypto.randomBytes(16).toString('base64url')}`;
	tokens.add(made);
	return json(res, 200, { access_token: made, expires_in: 3599, scope: 'https://www.googleapis.com/auth/drive', token_type: 'Bearer' });
}

function authorize(req) {
	const given = /^Bearer (.*)$/.exec(req.headers.authorization ?? '')?.[1];
	if (given === undefined) throw new Fault(403, 'forbidden', "Method doesn't allow unregistered callers.");
	if (!tokens.has(given))
		throw new Fault(401, 'authError', 'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.', { location: 'Authorization', locationType: 'header' });
}

async function route(req, res, url) {
	const path = url.pathname.split('/').slice(1).map(decodeURIComponent), params = url.searchParams;
	if (url.pathname === '/token' && req.method === 'POST') return token(req, res);
	if (path[0] === 'upload' && path[3] === 'files') {
		if (params.get('upload_id')) return resume(req, res, url); // whoever has the URL may
		authorize(req);
		return upload(req, res, url, path[4]);
	}
	authorize(req);
	const [kind, id, what, more] = path.slice(2);
	if (path[0] !== 'drive' || path[1] !== 'v3') throw new Fault(404, 'notFound', 'Not Found');
	switch (kind) {
	case 'about': return about(res, params);
	case 'drives': return shared(req, res, params, id);
	case 'changes': return follow(res, params, id === 'startPageToken');
	case 'files':
		if (id === 'generateIds') return generate(res, params);
		if (id !== undefined) return one(req, res, params, id, what, more);
		if (req.method === 'GET') return list(params, res);
		if (req.method === 'POST') return json(res, 200, shown(resource(create(metadata(await body(req)), undefined, params)), params, FILE_FIELDS));
	}
	throw new Fault(404, 'notFound', 'Not Found');
}

async function handle(req, res, url) {
	try {
		await route(req, res, url);
	} catch (e) {
		if (!(e instanceof Fault)) throw e;
		req.resume();
		refuse(res, e);
	}
}

const control = {
	'/-/expire': () => { tokens = new Set([forever]); },
	'/-/revoke': () => { revoked = true; tokens = new Set([forever]); },
	'/-/grant': () => { revoked = false; },
	'/-/lag': ({ names }) => { lagging = names; },
	'/-/lose': () => {
		changes.push(files.get('0AFakeRoot'));
		lost = changes.length;
	},
	'/-/viewer': ({ names }) => { viewed = names; },
	'/-/edit': ({ name, text, size }) => {
		for (const f of [...files.values()].filter((one) => one.name === name)) {
			Object.assign(f, { ...(text !== undefined && { text }), ...(size !== undefined && { exportSize: size }), modifiedTime: now() });
			touch(f);
		}
	},
};

const pathOf = (f) => (files.get(f.parents[0])?.parents.length > 0 ? `${pathOf(files.get(f.parents[0]))}/${f.name}` : f.name);
const contents = () => [...files.values()].filter((f) => f.revisions.length > 0 && !isTrashed(f));

reset();
serve(handle, {
	reset, control,
	files: () => contents().map((f) => [pathOf(f), f.revisions.at(-1).content]),
	uploads: () => [...sessions.values()].filter((s) => s.made === undefined).map((s) => s.name),
	write(path, bytes) {
		const all = new URLSearchParams(), f = contents().find((one) => pathOf(one) === path);
		if (f) update(f, {}, bytes, all);
		else create({ name: path }, bytes, all);
	},
	forget: () => sessions.clear(),
	state: () => ({
		received, exported, sessions: [...sessions.values()].filter((s) => s.made === undefined).length,
		files: [...files.values()].map((f) => ({ id: f.id, name: f.name, parents: f.parents, trashed: f.trashed, mimeType: f.mimeType, revisions: f.revisions.length,
			...(f.revisions.length > 0 && { size: f.revisions.at(-1).content.length, sha256: hash('sha256', f.revisions.at(-1).content) }) })),
	}),
	hello: { tokenPath: '/token', clientId: client.id, clientSecret: client.secret, refreshToken: client.refresh, token: forever },
});
