#!/usr/bin/env node
// A fake of Google Cloud Storage, from the reference of its two APIs (JSON v1, XML) and of service accounts' tokens.
//
// It checks what the service checks: tokens (signature, audience, scope and age of the grant; they expire and can be
// revoked), who may see a bucket (whose project it is, or it is public), names, preconditions, offsets of uploads, hashes,
// sizes of parts, sizes of pages.  Rewrites of more than 1 MiB take several requests.
//
// It does not know: versions that are not current, holds and retention, ACLs and IAM beyond the above, encryption keys,
// compose, XML lists of buckets and objects, x-goog-copy-source, signed URLs with headers, batches, notifications, HMAC keys.
//
// /o/oauth2/v2/auth is a person who agrees at once.
//
// Its line has, beyond lib.mjs's: "serviceAccount" and "stranger" (key files; of two projects), "client" {clientId,
// clientSecret, refreshToken} of a person who may what the service account may, "project".
// Control requests:
//   POST /-/tokens   {"expire":true} those that were given are worth nothing; {"life":SECONDS} of those to come;
//                    {"revoked":true} no grant gives any, until false
//   POST /-/publish  {"bucket":NAME}: anybody may read it
//   POST /-/put      {"path":BUCKET/NAME,"text"}: somebody else writes it
//   POST /-/server   {"multipart":STATUS}: it has no uploads in parts of the XML API, and answers this to them
// Its state has "received", the bytes of content that sessions were sent, and "rewritten", those that it copied.
import crypto from 'node:crypto';
import zlib from 'node:zlib';
import { body, json, range, serve } from './lib.mjs';

const MIB = 1 << 20;
const PART_MIN = 5 * MIB, REWRITE = MIB, CHUNK = 256 << 10;
const PAGE = 1000;
const GRANT_AGE = 3600;

// Hashes

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
	for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
	return n;
});
function crc32c(bytes) {
	let crc = -1;
	for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
	const out = Buffer.alloc(4);
	out.writeUInt32BE(~crc >>> 0);
	return out.toString('base64');
}
const md5 = (bytes) => crypto.createHash('md5').update(bytes).digest();

// Errors, in the shape of the API that is asked

class Failure extends Error {
	constructor(status, reason, code, message) {
		super(message);
		Object.assign(this, { status, reason, code });
	}
}
const fail = (status, reason, code, message) => { throw new Failure(status, reason, code, message); };
const invalid = (message) => fail(400, 'invalid', 'InvalidArgument', message);
const noBucket = () => fail(404, 'notFound', 'NoSuchBucket', 'The specified bucket does not exist.');
const noUpload = () => fail(404, 'notFound', 'NoSuchUpload', 'The requested upload was not found.');

const escape = (text) => text.replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);
function xml(res, status, text, headers = {}) {
	const bytes = Buffer.from(`<?xml version='1.0' encoding='UTF-8'?>${text}`);
	res.writeHead(status, { 'Content-Type': 'application/xml; charset=UTF-8', 'Content-Length': bytes.length, ...headers });
	res.end(res.req.method === 'HEAD' ? undefined : bytes);
}
function answerFailure(res, isXml, e) {
	if (isXml) return xml(res, e.status, `<Error><Code>${e.code}</Code><Message>${escape(e.message)}</Message></Error>`);
	const where = e.status === 412 ? { location: 'If-Match', locationType: 'header' } : {};
	const errors = [{ message: e.message, domain: 'global', reason: e.reason, ...where }];
	return json(res, e.status, { error: { code: e.status, message: e.message, errors } });
}

// Who asks

function account(name, project) {
	const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
	return {
		publicKey, project,
		file: {
			type: 'service_account', project_id: project, private_key_id: crypto.randomBytes(20).toString('hex'),
			private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
			client_email: `${name}@${project}.iam.gserviceaccount.com`, client_id: '1',
			token_uri: 'https://oauth2.googleapis.com/token', universe_domain: 'googleapis.com',
		},
	};
}
const ours = account('ferry', 'sky-project'), stranger = account('stranger', 'other-project');
const client = { clientId: 'client.apps.googleusercontent.com', clientSecret: 'client-secret', refreshToken: '1//refresh' };

let tokens, codes, grants, buckets, uploads, sessions, rewrites, revoked, life, lastGeneration, noMultipart, received, rewritten;
function reset() {
	tokens = new Map();
	codes = new Map();
	buckets = new Map();
	uploads = new Map(); // XML: {bucket, name, parts, attributes}
	sessions = new Map(); // JSON, resumable: {bucket, name, bytes, attributes}, and {made} what it has written
	rewrites = new Map();
	grants = received = rewritten = 0;
	noMultipart = 0;
	revoked = false;
	life = GRANT_AGE;
	lastGeneration = Date.now() * 1000;
}
reset();

/** The project for which the grant is, or throws why it is none. */
function judgeAssertion(assertion, host) {
	const [head, claims, signature] = assertion.split('.');
	const read = (text) => JSON.parse(Buffer.from(text, 'base64url').toString());
	const says = read(claims), now = Date.now() / 1000;
	const who = [ours, stranger].find((a) => a.file.client_email === says.iss);
	if (read(head).alg !== 'RS256') throw new Error('Invalid JWT: it is not signed with RS256.');
	if (!who) throw new Error('Invalid grant: account not found');
	if (!crypto.verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), who.publicKey, Buffer.from(signature, 'base64url')))
		throw new Error('Invalid JWT Signature.');
	const urls = [`http://${host}/token`, `https://${host}/token`, who.file.token_uri, 'https://www.googleapis.com/oauth2/v4/token'];
	if (!urls.includes(says.aud)) throw new Error(`Invalid JWT: Failed audience check: ${says.aud}`);
	if (!(says.iat <= now + 60 && says.exp > now && says.exp - says.iat <= GRANT_AGE))
		throw new Error('Invalid JWT: Token must be a short-lived token and in a reasonable timeframe.');
	if (!/auth\/(devstorage\.\w+|cloud-platform)/.test(says.scope ?? '')) throw new Error('Invalid scope');
	return { project: who.project, name: says.iss };
}

/** A person who agrees at once: the browser is sent back with a code. */
function authorize(res, query) {
	const code = `4/${crypto.randomBytes(16).toString('base64url')}`, back = new URL(query.get('redirect_uri'));
	if (query.get('client_id') !== client.clientId || query.get('response_type') !== 'code' || !/devstorage/.test(query.get('scope') ?? ''))
		return json(res, 400, { error: 'invalid_request' });
	codes.set(code, { redirect: back.href, challenge: query.get('code_challenge'), offline: query.get('access_type') === 'offline' });
	back.searchParams.set('code', code);
	back.searchParams.set('state', query.get('state'));
	return res.writeHead(302, { Location: back.href, 'Content-Length': 0 }).end();
}

/** Is the code the one that was given for this? */
function judgeCode(form) {
	const given = codes.get(form.get('code'));
	codes.delete(form.get('code'));
	return given && given.redirect === new URL(form.get('redirect_uri')).href && (given.challenge === null ||
	    given.challenge === crypto.createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url')) ? given : null;
}

async function token(req, res) {
	const form = new URLSearchParams((await body(req)).toString());
	const refuse = (error, words) => json(res, 400, { error, error_description: words });
	let who = { project: ours.project, name: 'person@example.com' };
	if (revoked) return refuse('invalid_grant', 'Token has been expired or revoked.');
	let more = {};
	if (form.get('grant_type') === 'refresh_token' || form.get('grant_type') === 'authorization_code') {
		if (form.get('client_id') !== client.clientId || form.get('client_secret') !== client.clientSecret)
			return json(res, 401, { error: 'invalid_client', error_description: 'Unauthorized' });
		const given = form.get('grant_type') === 'authorization_code' ? judgeCode(form) : form.get('refresh_token') === client.refreshToken && {};
		if (!given) return refuse('invalid_grant', 'Bad Request');
		if (given.offline) more = { refresh_token: client.refreshToken };
	} else if (form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer') {
		try {
			who = judgeAssertion(form.get('assertion') ?? '', req.headers.host);
		} catch (e) {
			return refuse('invalid_grant', e.message);
		}
	} else return refuse('unsupported_grant_type', 'Invalid grant_type');
	const value = `ya29.${crypto.randomBytes(24).toString('base64url')}`;
	tokens.set(value, { ...who, until: Date.now() + life * 1000 });
	grants++;
	return json(res, 200, { access_token: value, expires_in: life, token_type: 'Bearer', ...more });
}

/** Who signed the URL ("V4 signing process"), or throws. */
function signer(req) {
	const [path, query] = req.url.split('?'), all = query.split('&'), host = req.headers.host;
	const value = (name) => decodeURIComponent(all.find((one) => one.startsWith(`X-Goog-${name}=`))?.slice(name.length + 8) ?? '');
	const signed = all.filter((one) => !one.startsWith('X-Goog-Signature=')).sort().join('&');
	const [name, ...scope] = value('Credential').split('/'), when = value('Date');
	const who = [ours, stranger].find((a) => a.file.client_email === name);
	const refuse = (status, code, message) => fail(status, 'forbidden', code, message);
	if (value('Algorithm') !== 'GOOG4-RSA-SHA256' || value('SignedHeaders') !== 'host' || !who) refuse(400, 'InvalidArgument', 'The signature is not supported.');
	const began = Date.parse(when.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'));
	if (!(Number(value('Expires')) <= 604800 && Date.now() < began + Number(value('Expires')) * 1000)) refuse(400, 'ExpiredToken', 'Invalid argument: the URL has expired.');
	const canonical = [req.method, path, signed, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
	const text = ['GOOG4-RSA-SHA256', when, scope.join('/'), crypto.createHash('sha256').update(canonical).digest('hex')].join('\n');
	if (!crypto.verify('RSA-SHA256', Buffer.from(text), who.publicKey, Buffer.from(value('Signature'), 'hex')))
		refuse(403, 'SignatureDoesNotMatch', 'Access denied.');
	return { project: who.project, name };
}

/** {project, name}, or null: anonymous. */
function caller(req) {
	if (/[?&]X-Goog-Signature=/.test(req.url)) return signer(req);

	const header = req.headers.authorization;
	if (header === undefined) return null;
	const who = tokens.get(/^Bearer (.+)$/.exec(header)?.[1] ?? '');
	if (!who || who.until <= Date.now()) fail(401, 'authError', 'AuthenticationRequired', 'Invalid Credentials');
	return who;
}

/** The bucket, if the caller may: `reads` what is public anybody may. */
function bucketFor(ask, name, permission) {
	const reads = permission === 'storage.objects.get' || permission === 'storage.objects.list';
	const bucket = buckets.get(name);
	if (bucket && (ask.who?.project === bucket.project || (bucket.isPublic && reads))) return bucket;
	if (!ask.who)
		fail(401, 'required', 'AuthenticationRequired', `Anonymous caller does not have ${permission} access to the Google Cloud ` +
		    `Storage object. Permission '${permission}' denied on resource (or it may not exist).`);
	if (!bucket) noBucket();
	return fail(403, 'forbidden', 'AccessDenied', `${ask.who.name} does not have ${permission} access to the Google Cloud Storage ` +
	    `object. Permission '${permission}' denied on resource (or it may not exist).`);
}

// Objects

function checkName(name) {
	if (name === '' || name === '.' || name === '..' || Buffer.byteLength(name) > 1024 || /[\r\n]/.test(name) ||
	    name.startsWith('.well-known/acme-challenge/'))
		fail(400, 'invalid', 'InvalidObjectName', 'The specified object name is not valid.');
}

/** Puts it in the place of what is there. */
function store(bucket, name, content, attributes, isComposite = false) {
	checkName(name);
	const now = new Date().toISOString();
	const made = {
		name, content, ...attributes, generation: String(++lastGeneration), metageneration: 1, created: now, updated: now,
		crc32c: crc32c(content), md5: isComposite ? undefined : md5(content).toString('base64'),
		storageClass: attributes.storageClass ?? bucket.storageClass,
	};
	bucket.objects.set(name, made);
	bucket.sorted = undefined;
	return made;
}

/** conditions: {generation, metageneration, notGeneration}, as they came. */
function precondition(object, conditions) {
	const { generation, metageneration } = conditions;
	const met = (generation === undefined || generation === (object?.generation ?? '0')) &&
	    (metageneration === undefined || metageneration === String(object?.metageneration ?? 0));
	if (!met)
		fail(412, 'conditionNotMet', 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.');
}
function queryConditions(query, source = '') {
	const get = (name) => query.get(name) ?? undefined;
	return { generation: get(`if${source}GenerationMatch`), metageneration: get(`if${source}MetagenerationMatch`) };
}
const headerConditions = (req) => ({
	generation: req.headers['x-goog-if-generation-match'], metageneration: req.headers['x-goog-if-metageneration-match'],
});

function existing(bucket, name, generation) {
	const object = bucket.objects.get(name);
	if (!object || (generation && generation !== object.generation))
		fail(404, 'notFound', 'NoSuchKey', `No such object: ${bucket.name}/${name}`);
	return object;
}

function resource(ask, bucket, o) {
	const at = `${ask.origin}/storage/v1/b/${bucket.name}/o/${encodeURIComponent(o.name)}`;
	return {
		kind: 'storage#object', id: `${bucket.name}/${o.name}/${o.generation}`, selfLink: at,
		mediaLink: `${at.replace('/storage/v1', '/download/storage/v1')}?generation=${o.generation}&alt=media`,
		name: o.name, bucket: bucket.name, generation: o.generation, metageneration: String(o.metageneration),
		contentType: o.contentType, contentEncoding: o.contentEncoding, cacheControl: o.cacheControl, storageClass: o.storageClass,
		size: String(o.content.length), md5Hash: o.md5, crc32c: o.crc32c, etag: Buffer.from(o.generation).toString('base64'),
		timeCreated: o.created, updated: o.updated, timeStorageClassUpdated: o.created, metadata: o.metadata,
	};
}

/** "a,b(c,d),e/f": what a request wants of its answer. */
function pick(value, fields) {
	let at = 0;
	function parse() {
		const wanted = {};
		for (;;) {
			const name = /^[\w*-]+/.exec(fields.slice(at))?.[0] ?? invalid(`Invalid field selection ${fields}`);
			at += name.length;
			if (fields[at] === '(') {
				at++;
				wanted[name] = parse();
				if (fields[at++] !== ')') invalid(`Invalid field selection ${fields}`);
			} else if (fields[at] === '/') {
				at++;
				wanted[name] = parseOne();
			} else wanted[name] = true;
			if (fields[at] !== ',') return wanted;
			at++;
		}
	}
	function parseOne() {
		const name = /^[\w*-]+/.exec(fields.slice(at))?.[0] ?? invalid(`Invalid field selection ${fields}`);
		at += name.length;
		return { [name]: true };
	}
	function keep(v, wanted) {
		if (wanted === true || wanted['*'] || v === null || typeof v !== 'object') return v;
		if (Array.isArray(v)) return v.map((one) => keep(one, wanted));
		return Object.fromEntries(Object.entries(v).filter(([name]) => wanted[name]).map(([name, one]) => [name, keep(one, wanted[name])]));
	}
	return keep(value, parse());
}
const answer = (ask, value) => json(ask.res, 200, ask.query.get('fields') ? pick(value, ask.query.get('fields')) : value);

const ATTRIBUTES = ['contentType', 'contentEncoding', 'cacheControl', 'storageClass', 'metadata'];
const attributesOf = (json) => Object.fromEntries(ATTRIBUTES.filter((a) => json[a] !== undefined).map((a) => [a, json[a]]));

/** The content of an object: GET of the XML API, and alt=media of the other. */
function send(ask, o, conditions) {
	precondition(o, conditions);
	const headers = {
		'x-goog-generation': o.generation, 'x-goog-metageneration': o.metageneration, 'x-goog-storage-class': o.storageClass,
		'x-goog-hash': [`crc32c=${o.crc32c}`, ...(o.md5 ? [`md5=${o.md5}`] : [])],
		'x-goog-stored-content-length': o.content.length, 'x-goog-stored-content-encoding': o.contentEncoding ?? 'identity',
		ETag: `"${o.md5 ? Buffer.from(o.md5, 'base64').toString('hex') : o.generation}"`,
		'Last-Modified': new Date(o.created).toUTCString(), 'Content-Type': o.contentType ?? 'application/octet-stream',
		'Accept-Ranges': 'bytes',
	};
	if (![headers.ETag, '*', undefined].includes(ask.req.headers['if-match']))
		fail(412, 'conditionNotMet', 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.');
	for (const [name, value] of Object.entries(o.metadata ?? {})) headers[`x-goog-meta-${name}`] = value;
	let content = o.content, status = 200;
	if (o.contentEncoding === 'gzip' && !/gzip/.test(ask.req.headers['accept-encoding'] ?? '')) {
		ask.res.writeHead(200, { ...headers, Warning: '214 UploadServer gunzipped' });
		return ask.res.end(ask.req.method === 'HEAD' ? undefined : zlib.gunzipSync(content));
	}
	if (o.contentEncoding) headers['Content-Encoding'] = o.contentEncoding;
	const part = range(ask.req.headers.range, content.length);
	if (part === undefined) fail(416, 'requestedRangeNotSatisfiable', 'InvalidRange', 'The requested range cannot be satisfied.');
	if (part) {
		headers['Content-Range'] = `bytes ${part[0]}-${part[1] - 1}/${content.length}`;
		content = content.subarray(...part);
		status = 206;
	}
	ask.res.writeHead(status, { ...headers, 'Content-Length': content.length });
	return ask.res.end(ask.req.method === 'HEAD' ? undefined : content);
}

/** What the client says of the content beforehand. */
function checkHashes(content, sums) {
	if (sums.md5 && sums.md5 !== md5(content).toString('base64'))
		fail(400, 'invalid', 'BadDigest', 'The MD5 you specified did not match what we computed.');
	if (sums.crc32c && sums.crc32c !== crc32c(content))
		fail(400, 'invalid', 'BadDigest', 'The CRC32C you specified did not match what we computed.');
}
function headerHashes(req) {
	const sums = Object.fromEntries((req.headers['x-goog-hash'] ?? '').split(/,\s*/).map((one) => [one.split('=')[0], one.slice(one.indexOf('=') + 1)]));
	return { crc32c: sums.crc32c, md5: req.headers['content-md5'] ?? sums.md5 };
}

// JSON: buckets and lists

function page(query) {
	const most = query.has('maxResults') ? Number(query.get('maxResults')) : PAGE;
	if (!(most >= 1)) invalid('Invalid maxResults');
	const token = query.get('pageToken');
	return { most: Math.min(most, PAGE), after: token === null ? undefined : Buffer.from(token, 'base64url').toString() };
}
const nextToken = (last) => (last === undefined ? undefined : Buffer.from(last).toString('base64url'));
const bucketResource = (b) => ({
	kind: 'storage#bucket', id: b.name, name: b.name, timeCreated: b.created, updated: b.created, location: 'US', storageClass: b.storageClass,
	metageneration: '1', projectNumber: '1', locationType: 'multi-region',
});

async function bucketsRequest(ask) {
	const { query, req } = ask;
	const project = query.get('project') ?? invalid('Required parameter: project');
	if (!ask.who) fail(401, 'required', 'AuthenticationRequired', 'Anonymous caller does not have storage.buckets.list access.');
	if (ask.who.project !== project) fail(403, 'forbidden', 'AccessDenied', `${ask.who.name} does not have access to the project.`);
	if (req.method === 'GET') {
		const { most, after } = page(query);
		const all = [...buckets.values()].filter((b) => b.project === project && b.name.startsWith(query.get('prefix') ?? ''))
			.sort((a, b) => (a.name < b.name ? -1 : 1)).filter((b) => after === undefined || b.name > after);
		const shown = all.slice(0, most);
		return answer(ask, {
			kind: 'storage#buckets', items: shown.length > 0 ? shown.map(bucketResource) : undefined,
			nextPageToken: all.length > most ? nextToken(shown.at(-1).name) : undefined,
		});
	}
	const { name, storageClass = 'STANDARD' } = JSON.parse(await body(req));
	if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(name ?? '')) invalid(`Invalid bucket name: '${name}'`);
	const there = buckets.get(name);
	if (there)
		fail(409, 'conflict', 'BucketNameUnavailable', there.project === project
			? 'Your previous request to create the named bucket succeeded and you already own it.'
			: 'The requested bucket name is not available. The bucket namespace is shared by all users of the system.');
	buckets.set(name, { name, project, storageClass, created: new Date().toISOString(), objects: new Map() });
	return answer(ask, bucketResource(buckets.get(name)));
}

function bucketRequest(ask, name) {
	const bucket = bucketFor(ask, name, ask.req.method === 'DELETE' ? 'storage.buckets.delete' : 'storage.buckets.get');
	if (ask.req.method !== 'DELETE') return answer(ask, bucketResource(bucket));
	if (bucket.objects.size > 0) fail(409, 'conflict', 'BucketNotEmpty', 'The bucket you tried to delete is not empty.');
	buckets.delete(name);
	return ask.res.writeHead(204).end();
}

const before = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;

function listRequest(ask, bucket) {
	const { query } = ask, prefix = query.get('prefix') ?? '', delimiter = query.get('delimiter') ?? '';
	const { most, after } = page(query), start = query.get('startOffset') ?? '', end = query.get('endOffset') ?? '';
	bucket.sorted ??= [...bucket.objects.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
	const items = [], prefixes = new Set();
	let last, more = false;
	for (const name of bucket.sorted) {
		if (!name.startsWith(prefix) || before(name, start) || (end !== '' && !before(name, end))) continue;
		const cut = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
		const shown = cut < 0 ? name : name.slice(0, cut + delimiter.length);
		if (after !== undefined && !before(after, shown)) continue;
		if (cut >= 0 && prefixes.has(shown)) continue;
		if (items.length + prefixes.size === most) {
			more = true;
			break;
		}
		if (cut < 0) items.push(resource(ask, bucket, bucket.objects.get(name)));
		else prefixes.add(shown);
		last = shown;
	}
	return answer(ask, {
		kind: 'storage#objects', items: items.length > 0 ? items : undefined, prefixes: prefixes.size > 0 ? [...prefixes] : undefined,
		nextPageToken: more ? nextToken(last) : undefined,
	});
}

// JSON: objects

async function patchRequest(ask, bucket, o) {
	precondition(o, queryConditions(ask.query));
	const change = JSON.parse(await body(ask.req));
	const metadata = { ...(o.metadata ?? {}), ...(change.metadata ?? {}) };
	for (const name of Object.keys(metadata)) if (metadata[name] === null) delete metadata[name];
	Object.assign(o, attributesOf(change), { metadata, metageneration: o.metageneration + 1, updated: new Date().toISOString() });
	return answer(ask, resource(ask, bucket, o));
}

async function objectRequest(ask, bucketName, name) {
	const kinds = { GET: 'get', DELETE: 'delete', PATCH: 'update' };
	const bucket = bucketFor(ask, bucketName, `storage.objects.${kinds[ask.req.method] ?? 'update'}`);
	const o = existing(bucket, name, ask.query.get('generation'));
	const conditions = queryConditions(ask.query);
	if (ask.req.method === 'GET' && ask.query.get('alt') === 'media') return send(ask, o, conditions);
	if (ask.req.method === 'PATCH') return patchRequest(ask, bucket, o);
	precondition(o, conditions);
	if (ask.req.method === 'GET') return answer(ask, resource(ask, bucket, o));
	bucket.objects.delete(name);
	bucket.sorted = undefined;
	return ask.res.writeHead(204).end();
}

async function rewriteRequest(ask, [fromBucket, fromName, toBucket, toName]) {
	const said = (await body(ask.req)).toString(), { query } = ask;
	const from = bucketFor(ask, fromBucket, 'storage.objects.get'), to = bucketFor(ask, toBucket, 'storage.objects.create');
	const source = existing(from, fromName, query.get('sourceGeneration'));
	precondition(source, queryConditions(query, 'Source'));
	precondition(to.objects.get(toName), queryConditions(query));
	checkName(toName);
	const key = JSON.stringify([fromBucket, fromName, source.generation, toBucket, toName]);
	const old = query.get('rewriteToken'), earlier = rewrites.get(old);
	if (earlier?.expired) fail(410, 'gone', 'Gone', 'The rewrite token has expired.');
	if (old !== null && earlier?.key !== key) invalid('The rewrite token is not valid for this request.');
	// What the first said holds: those that follow may leave it out.
	const text = earlier?.text ?? said;
	const size = source.content.length, done = Math.min(size, (earlier?.done ?? 0) + REWRITE);
	rewritten += done - (earlier?.done ?? 0);
	const told = { kind: 'storage#rewriteResponse', totalBytesRewritten: String(done), objectSize: String(size), done: done === size };
	if (done < size) {
		const rewriteToken = crypto.randomBytes(48).toString('base64url');
		rewrites.set(rewriteToken, { key, done, text });
		return answer(ask, { ...told, rewriteToken });
	}
	const say = text === '' ? null : JSON.parse(text); // Go's client writes "null" for no word
	const attributes = attributesOf(say === null || Object.keys(say).length === 0 ? { ...source, storageClass: undefined } : say);
	const made = store(to, toName, source.content, attributes, !source.md5);
	return answer(ask, { ...told, resource: resource(ask, to, made) });
}

// JSON: uploads

/** The two parts of a multipart/related body: metadata and content. */
function related(type, bytes) {
	const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1] ?? invalid('No boundary');
	const delimiter = `--${boundary}`, parts = [];
	for (let at = bytes.indexOf(delimiter); at >= 0;) {
		const start = bytes.indexOf('\r\n\r\n', at), end = bytes.indexOf(`\r\n${delimiter}`, start);
		if (start < 0 || end < 0) break; // the last one ends it
		parts.push({ head: bytes.subarray(at, start).toString(), content: bytes.subarray(start + 4, Math.max(end, start + 4)) });
		at = end + 2;
	}
	return parts.length === 2 ? parts : invalid('A multipart upload has two parts');
}

function makeObject(ask, bucket, { name, metadata, content, conditions }) {
	checkHashes(content, { md5: metadata.md5Hash, crc32c: metadata.crc32c });
	precondition(bucket.objects.get(name), conditions);
	return resource(ask, bucket, store(bucket, name, content, attributesOf(metadata)));
}

async function uploadRequest(ask, bucketName) {
	const { query, req, res } = ask, type = query.get('uploadType'), id = query.get('upload_id');
	if (id !== null) return sessionRequest(ask, id);
	const bucket = bucketFor(ask, bucketName, 'storage.objects.create');
	const conditions = queryConditions(query), bytes = await body(req);
	let metadata = {}, content = bytes;
	if (type === 'multipart') {
		const parts = related(req.headers['content-type'] ?? '', bytes);
		metadata = JSON.parse(parts[0].content);
		metadata.contentType ??= /content-type: *([^\r\n]+)/i.exec(parts[1].head)?.[1];
		({ content } = parts[1]);
	} else if (type === 'resumable') metadata = bytes.length > 0 ? JSON.parse(bytes) : {};
	else metadata.contentType = req.headers['content-type'];
	const name = query.get('name') ?? metadata.name ?? invalid('Required parameter: name');
	checkName(name);
	if (type !== 'resumable') return answer(ask, makeObject(ask, bucket, { name, metadata, content, conditions }));
	metadata.contentType ??= req.headers['x-upload-content-type'];
	precondition(bucket.objects.get(name), conditions);
	const session = crypto.randomBytes(24).toString('base64url');
	sessions.set(session, { bucket, name, metadata, conditions, bytes: Buffer.alloc(0) });
	return res.writeHead(200, { Location: `${ask.origin}${ask.path}?uploadType=resumable&upload_id=${session}`, 'Content-Length': 0 }).end();
}

/** What comes of a request to a session, and whether that is all of it. */
async function arrived(req) {
	const pieces = [];
	let whole = true;
	try {
		for await (const piece of req) {
			pieces.push(piece);
			received += piece.length;
		}
	} catch {
		whole = false;
	}
	return { bytes: Buffer.concat(pieces), whole };
}

/** A chunk, or what is there so far; the session's URI is all the right that it takes. */
async function sessionRequest(ask, id) {
	const session = sessions.get(id) ?? noUpload();
	const { bytes, whole } = await arrived(ask.req), header = ask.req.headers['content-range'];
	const found = /^bytes (?:(\d+)-(\d+|\*)|\*)\/(\d+|\*)$/.exec(header ?? 'bytes 0-*/*') ?? invalid(`Invalid Content-Range: ${header}`);
	const first = Number(found[1]), end = first + bytes.length;
	let total = found[3] === '*' ? Infinity : Number(found[3]);
	if (ask.req.method === 'DELETE') {
		sessions.delete(id);
		return ask.res.writeHead(499).end();
	}
	if (session.made) return answer(ask, session.made);
	if (!whole) { // of what has come, whole chunks are kept
		const kept = bytes.subarray(session.bytes.length - first);
		session.bytes = Buffer.concat([session.bytes, kept.subarray(0, kept.length - (kept.length % CHUNK))]);
		return undefined;
	}
	if (found[1] !== undefined) {
		if (found[2] === '*') total = Math.min(total, end); // "0-*/*": it ends where the request does
		if (first > session.bytes.length) fail(503, 'backendError', 'ServiceUnavailable', 'The offset is beyond what is there.');
		if (end !== total && bytes.length % CHUNK !== 0) invalid('Chunks must be multiples of 256 KiB');
		session.bytes = Buffer.concat([session.bytes, bytes.subarray(session.bytes.length - first)]);
	}
	if (session.bytes.length < total) {
		const so = session.bytes.length > 0 ? { Range: `bytes=0-${session.bytes.length - 1}` } : {};
		// Google's Go client asks for another status, which no proxy takes for a redirection.
		const quiet = ask.req.headers['x-guploader-no-308'] === 'yes';
		return ask.res.writeHead(quiet ? 200 : 308, { 'Content-Length': 0, ...(quiet ? { 'X-HTTP-Status-Code-Override': 308 } : {}), ...so }).end();
	}
	// What has come is thrown away if it is not what it should be, or must not be stored.
	sessions.delete(id);
	checkHashes(session.bytes, headerHashes(ask.req));
	const made = makeObject(ask, session.bucket, { ...session, content: session.bytes });
	sessions.set(id, { bucket: session.bucket, name: session.name, made });
	return answer(ask, made);
}

// XML

function headerAttributes(req) {
	const metadata = {};
	for (const [name, value] of Object.entries(req.headers)) if (name.startsWith('x-goog-meta-')) metadata[name.slice(12)] = value;
	return {
		contentType: req.headers['content-type'], contentEncoding: req.headers['content-encoding'], cacheControl: req.headers['cache-control'],
		storageClass: req.headers['x-goog-storage-class'], metadata: Object.keys(metadata).length > 0 ? metadata : undefined,
	};
}

async function xmlObject(ask, bucketName, name) {
	const { req, res } = ask, kinds = { GET: 'get', HEAD: 'get', PUT: 'create', DELETE: 'delete' };
	const bucket = bucketFor(ask, bucketName, `storage.objects.${kinds[req.method] ?? 'create'}`);
	if (req.method === 'GET' || req.method === 'HEAD') return send(ask, existing(bucket, name, ask.query.get('generation')), headerConditions(req));
	if (req.method === 'DELETE') {
		precondition(existing(bucket, name), headerConditions(req));
		bucket.objects.delete(name);
		bucket.sorted = undefined;
		return res.writeHead(204).end();
	}
	if (req.method !== 'PUT' || req.headers['x-goog-copy-source']) return fail(501, 'notImplemented', 'NotImplemented', 'The fake does not know this.');
	const content = await body(req);
	checkHashes(content, headerHashes(req));
	precondition(bucket.objects.get(name), headerConditions(req));
	const o = store(bucket, name, content, headerAttributes(req));
	return res.writeHead(200, {
		ETag: `"${Buffer.from(o.md5, 'base64').toString('hex')}"`, 'x-goog-generation': o.generation, 'x-goog-metageneration': 1,
		'x-goog-hash': [`crc32c=${o.crc32c}`, `md5=${o.md5}`], 'x-goog-stored-content-length': content.length, 'Content-Length': 0,
	}).end();
}

const S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

async function putPart(ask, upload) {
	const number = Number(ask.query.get('partNumber')), content = await body(ask.req);
	if (!(number >= 1 && number <= 10000)) invalid('Part number must be an integer between 1 and 10000, inclusive');
	checkHashes(content, headerHashes(ask.req));
	const etag = `"${md5(content).toString('hex')}"`;
	upload.parts.set(number, { content, etag });
	return ask.res.writeHead(200, {
		ETag: etag, 'x-goog-hash': [`crc32c=${crc32c(content)}`, `md5=${md5(content).toString('base64')}`], 'Content-Length': 0,
	}).end();
}

function listParts(ask, id, upload) {
	const marker = Number(ask.query.get('part-number-marker') ?? 0), most = Math.min(Number(ask.query.get('max-parts') ?? PAGE), PAGE);
	const numbers = [...upload.parts.keys()].filter((n) => n > marker).sort((a, b) => a - b), shown = numbers.slice(0, most);
	const parts = shown.map((n) => `<Part><PartNumber>${n}</PartNumber><ETag>${escape(upload.parts.get(n).etag)}</ETag>` +
	    `<Size>${upload.parts.get(n).content.length}</Size><LastModified>${new Date().toISOString()}</LastModified></Part>`);
	return xml(ask.res, 200, `<ListPartsResult ${S3}><Bucket>${upload.bucket.name}</Bucket><Key>${escape(upload.name)}</Key><UploadId>${id}</UploadId>` +
	    `<StorageClass>STANDARD</StorageClass><PartNumberMarker>${marker}</PartNumberMarker><NextPartNumberMarker>${shown.at(-1) ?? 0}</NextPartNumberMarker>` +
	    `<MaxParts>${most}</MaxParts><IsTruncated>${numbers.length > shown.length}</IsTruncated>${parts.join('')}</ListPartsResult>`);
}

async function completeUpload(ask, id, upload) {
	const text = (await body(ask.req)).toString();
	if (Object.keys(ask.req.headers).some((name) => name.startsWith('x-goog-if-') || /^if-/.test(name))) invalid('Preconditions are not supported.');
	const wanted = [...text.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part]) => ({
		number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
		etag: /<ETag>(.*?)</.exec(part)?.[1].replace(/&quot;|&#34;|"/g, '') ?? '',
	}));
	if (wanted.length === 0) fail(400, 'invalid', 'MalformedCompleteMultipartUploadRequest', 'The XML you provided was not well-formed.');
	const pieces = wanted.map(({ number, etag }, i) => {
		const part = upload.parts.get(number);
		if (i > 0 && number <= wanted[i - 1].number) fail(400, 'invalid', 'InvalidPartOrder', 'The parts are not in ascending order.');
		if (part?.etag !== `"${etag}"`) fail(400, 'invalid', 'InvalidPart', 'One or more of the specified parts could not be found.');
		if (i < wanted.length - 1 && part.content.length < PART_MIN) fail(400, 'invalid', 'EntityTooSmall', 'A part is smaller than 5 MiB.');
		return part.content;
	});
	uploads.delete(id);
	const o = store(upload.bucket, upload.name, Buffer.concat(pieces), upload.attributes, true);
	return xml(ask.res, 200, `<CompleteMultipartUploadResult ${S3}><Location>${escape(`${ask.origin}/${upload.bucket.name}/${upload.name}`)}</Location>` +
	    `<Bucket>${upload.bucket.name}</Bucket><Key>${escape(upload.name)}</Key><ETag>&quot;${o.generation}-${wanted.length}&quot;</ETag></CompleteMultipartUploadResult>`);
}

async function xmlUpload(ask, bucketName, name) {
	const { req, query, res } = ask;
	const bucket = bucketFor(ask, bucketName, 'storage.multipartUploads.create');
	checkName(name);
	if (query.has('uploads')) {
		const id = `ABPn${crypto.randomBytes(40).toString('base64url')}`;
		await body(req);
		uploads.set(id, { bucket, name, attributes: headerAttributes(req), parts: new Map() });
		// Google's SDK reads what is text/* only.
		return xml(res, 200, `<InitiateMultipartUploadResult ${S3}><Bucket>${bucketName}</Bucket><Key>${escape(name)}</Key>` +
		    `<UploadId>${id}</UploadId></InitiateMultipartUploadResult>`, { 'Content-Type': 'text/html; charset=UTF-8' });
	}
	const id = query.get('uploadId'), upload = uploads.get(id);
	if (!upload || upload.bucket !== bucket || upload.name !== name) return req.resume() && noUpload();
	if (req.method === 'PUT') return putPart(ask, upload);
	if (req.method === 'GET') return listParts(ask, id, upload);
	if (req.method === 'POST') return completeUpload(ask, id, upload);
	uploads.delete(id);
	return res.writeHead(204).end();
}

function xmlUploads(ask, bucketName) {
	const bucket = bucketFor(ask, bucketName, 'storage.multipartUploads.list'), { query } = ask;
	const most = Math.min(Number(query.get('max-uploads') ?? PAGE), PAGE), encode = query.get('encoding-type') === 'url' ? encodeURIComponent : escape;
	const key = query.get('key-marker') ?? '', idMarker = query.get('upload-id-marker') ?? '';
	const all = [...uploads].filter(([, u]) => u.bucket === bucket && u.name.startsWith(query.get('prefix') ?? ''))
		.filter(([id, u]) => before(key, u.name) || (u.name === key && idMarker !== '' && id > idMarker))
		.sort(([a, u], [b, v]) => (u.name === v.name ? (a < b ? -1 : 1) : before(u.name, v.name) ? -1 : 1));
	const shown = all.slice(0, most), last = shown.at(-1);
	return xml(ask.res, 200, `<ListMultipartUploadsResult ${S3}><Bucket>${bucketName}</Bucket>` +
	    (query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '') +
	    (all.length > most ? `<NextKeyMarker>${encode(last[1].name)}</NextKeyMarker><NextUploadIdMarker>${last[0]}</NextUploadIdMarker>` : '') +
	    `<MaxUploads>${most}</MaxUploads><IsTruncated>${all.length > most}</IsTruncated>` +
	    shown.map(([id, u]) => `<Upload><Key>${encode(u.name)}</Key><UploadId>${id}</UploadId><Initiated>${new Date().toISOString()}</Initiated></Upload>`).join('') +
	    '</ListMultipartUploadsResult>');
}

// Routes

async function jsonRequest(ask, parts) {
	const names = parts.map(decodeURIComponent);
	if (parts.length === 0) return bucketsRequest(ask);
	if (parts.length === 1) return bucketRequest(ask, names[0]);
	if (parts[1] === 'o' && parts.length === 2 && ask.req.method === 'GET') return listRequest(ask, bucketFor(ask, names[0], 'storage.objects.list'));
	if (parts[1] === 'o' && parts.length === 3) return objectRequest(ask, names[0], names[2]);
	if (parts[3] === 'rewriteTo' && parts.length === 8) return rewriteRequest(ask, [names[0], names[2], names[5], names[7]]);
	return fail(404, 'notFound', 'NotFound', `The fake does not know ${ask.req.method} ${ask.path}`);
}

function xmlRequest(ask, bucket, name) {
	const inParts = ask.query.has('uploads') || ask.query.has('uploadId');
	if (inParts && noMultipart) return fail(noMultipart, 'notImplemented', 'NotImplemented', 'There are no uploads in parts.');
	if (name === '' && ask.query.has('uploads')) return xmlUploads(ask, bucket);
	if (name === '') return fail(501, 'notImplemented', 'NotImplemented', 'The fake does not know this.');
	return inParts ? xmlUpload(ask, bucket, name) : xmlObject(ask, bucket, name);
}

async function handle(req, res, url) {
	const path = url.pathname, host = req.headers.host ?? '';
	const ask = { req, res, path, query: url.searchParams, origin: `${req.socket.encrypted ? 'https' : 'http'}://${host}` };
	const api = /^\/(?:(upload|download)\/)?storage\/v1\/b(?:\/(.*))?$/.exec(path);
	if (path === '/o/oauth2/v2/auth') return authorize(res, url.searchParams);
	if (path === '/token' || path === '/oauth2/v4/token') return token(req, res);
	try {
		ask.who = caller(req);
		if (api) {
			const parts = api[2] ? api[2].split('/') : [];
			return await (api[1] === 'upload' ? uploadRequest(ask, decodeURIComponent(parts[0])) : jsonRequest(ask, parts));
		}
		const virtual = /^(.+)\.storage\.googleapis\.com$/.exec(host), all = decodeURIComponent(path.slice(1)), slash = all.indexOf('/');
		if (virtual) return await xmlRequest(ask, virtual[1], all);
		return await (slash < 0 ? xmlRequest(ask, all, '') : xmlRequest(ask, all.slice(0, slash), all.slice(slash + 1)));
	} catch (e) {
		if (!(e instanceof Failure)) throw e;
		for await (const piece of req) void piece;
		return answerFailure(res, !api, e);
	}
}

/** As somebody else, who makes the bucket too. */
function write(path, bytes) {
	const [bucket, name] = [path.slice(0, path.indexOf('/')), path.slice(path.indexOf('/') + 1)];
	if (!buckets.has(bucket))
		buckets.set(bucket, { name: bucket, project: ours.project, storageClass: 'STANDARD', created: new Date().toISOString(), objects: new Map() });
	store(buckets.get(bucket), name, bytes, {});
}

const control = {
	'/-/server': ({ multipart }) => { noMultipart = multipart; },
	'/-/put': ({ path, text }) => write(path, Buffer.from(text)),
	'/-/publish': ({ bucket }) => { buckets.get(bucket).isPublic = true; },
	'/-/tokens': (say) => {
		if (say.expire) tokens.clear();
		life = say.life ?? life;
		revoked = say.revoked ?? revoked;
	},
};

function state() {
	const objects = {};
	for (const bucket of buckets.values())
		for (const o of bucket.objects.values())
			objects[`${bucket.name}/${o.name}`] = { size: o.content.length, crc32c: o.crc32c, md5: o.md5, generation: o.generation, metadata: o.metadata, contentType: o.contentType, storageClass: o.storageClass };
	return {
		grants, objects, received, rewritten, buckets: [...buckets.keys()],
		uploads: [...uploads.values()].map((u) => ({ name: u.name, parts: u.parts.size })),
		sessions: [...sessions.values()].filter((s) => !s.made).map((s) => ({ name: s.name, bytes: s.bytes.length })),
	};
}

serve(handle, {
	state, reset, control,
	files: () => [...buckets.values()].flatMap((b) => [...b.objects.values()].map((o) => [`${b.name}/${o.name}`, o.content])),
	uploads: () => [...uploads.values(), ...[...sessions.values()].filter((s) => !s.made)].map((u) => `${u.bucket.name}/${u.name}`),
	write,
	forget() {
		uploads.clear();
		sessions.clear();
		for (const rewrite of rewrites.values()) rewrite.expired = true;
	},
	hello: { serviceAccount: JSON.stringify(ours.file), stranger: JSON.stringify(stranger.file), client, project: ours.project },
});
