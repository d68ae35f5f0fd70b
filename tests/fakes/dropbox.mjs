#!/usr/bin/env node
// A fake of the Dropbox API v2, from Dropbox's published specification of the API (its "stone" files): one server that
// stands for api.dropboxapi.com, content.dropboxapi.com, notify.dropboxapi.com and www.dropbox.com.  What a request sends is checked as Dropbox
// checks it: host (where it is one of Dropbox's), scheme of the route, unknown or missing arguments (400), token (401),
// namespace (422), names, write modes, offsets, hashes.
//
// It prints also: tokenPath, clientId, clientSecret, refreshToken and otherRefreshToken (of two users of one app),
// pkceRefreshToken (the first user's, without a secret), teamNamespace (which both may enter).
// Tokens of another provider are good as lib.mjs's --introspect says.  /oauth2/authorize is a person who agrees at once: it sends the browser back with a code.
// Control requests beside those of lib.mjs:
//   POST /-/expire            all access tokens have expired
//   POST /-/revoke            {"refreshToken"}: the grant is gone, and its access tokens
//   POST /-/forget-sessions   upload sessions are older than a week
//   POST /-/reset-cursors     cursors of lists are not valid any more; who waits with one is told
//   POST /-/backoff           {"seconds"}: what longpoll asks for; 0: nothing
//   POST /-/quota             {"allocated"}: bytes of each user
//   POST /-/lock              {"ms","waits"}: each write has its namespace to itself for so long; so many more wait for that, and
//                             what comes then is refused (too_many_write_operations).  0 ms: no longer
//   POST /-/damage            the next piece of a session is kept with another content
//   POST /-/jobs              {"hold":true}: jobs of save_url read their links, and do not end until {"hold":false};
//                             {"forget":true}: their ids are not known any more
//   GET  /-/state             adds "sessions" (under way), "bytes" (received in appends), "tokens" (granted), "waiting"
//                             (in longpoll), "locked" (writes refused for a namespace's lock), "pulled" (bytes read from links), "jobs" (begun), "reads" (links that have been read to their end, or not at all)
//
// save_url really fetches the URL, at most 256 MiB in 15 minutes, and answers with a job.  That saves what came when it
// ends, and renames it if something is there (of the same content too), as the documentation has it.  What it does not do:
// ends at once; refuse hosts; fetch again what failed.
//
// What it does not do: sharing, locks, properties, media, Paper and other files that are exported, search, deleted entries
// but as changes; the jitter of longpoll; rate limits of its own (use faults).  Where the specification leaves something open it is
// strict: nothing can be appended to a session once it is closed; longpoll refuses whoever says who he is; renaming to another case is a conflict.  A name's case
// is folded as JavaScript does.
import crypto from 'node:crypto';
import { serve, body, json, range, introspected } from './lib.mjs';

const BLOCK = 4 << 20, REQUEST_MAX = 150 << 20, FILE_MAX = 2 ** 41 - 2 ** 22, LIFE_S = 14400;
const app = { id: 'fake-app-key', secret: 'fake-app-secret' };

const PULL_MAX = 256 << 20, PULL_MS = 15 * 60 * 1000;

let users, namespaces, grants, tokens, sessions, references, links, jobs, epoch, count, appended, granted, damaging, codes, backoff;
let pulled, begun, reads, holding, lock, locked;
let waiters = new Set();

/** Nodes by their path in lower case; the log has what became of which. */
class Nodes extends Map {
	log = [];

	set(key, node) {
		this.note(key, node.path);
		return super.set(key, node);
	}

	delete(key) {
		this.note(key, this.get(key)?.path ?? key);
		return super.delete(key);
	}

	note(key, path) {
		this.log.push({ key, path });
		wake();
	}
}

/** Whoever waits looks again. */
function wake() {
	for (const look of [...waiters]) look();
}

function reset() {
	[count, epoch, appended, granted, damaging, backoff] = [0, 1, 0, 0, false, 0];
	[pulled, begun, reads, locked] = [0, 0, 0, 0];
	lock = { ms: 0, waits: 0 };
	holding?.go();
	holding = undefined;
	namespaces = new Map(['1001', '1002', '2001'].map((id) => [id, { id, nodes: new Nodes() }]));
	wake();
	users = ['1', '2'].map((n) => ({ id: `dbid:fake${n.padStart(36, '0')}`, mail: `user${n}@example.com`, home: `100${n}`,
		allocated: 2 ** 41, namespaces: [`100${n}`, '2001'] }));
	grants = new Map([['fake-refresh-1', { user: users[0] }], ['fake-refresh-2', { user: users[1] }],
		['fake-refresh-pkce', { user: users[0], pkce: true }]]);
	tokens = new Map();
	[sessions, references, links, jobs, codes] = [new Map(), new Map(), new Map(), new Map(), new Map()];
}
reset();

/** An answer that is an error: 409 of a route, by the tags of its union; a last object has a tag's fields. */
class Answer extends Error {
	constructor(status, value, headers = {}) {
		super('answer');
		Object.assign(this, { status, value, headers });
	}
}
const textual = (status, text) => new Answer(status, text);
function union(tags, fields = {}) {
	const [tag, ...rest] = tags;
	return rest.length > 0 ? { '.tag': tag, [tag]: union(rest, fields) } : { '.tag': tag, ...fields };
}
const error = (tags, fields) => new Answer(409, { error_summary: `${tags}/..`, error: union(tags.split('/'), fields) });

const now = () => new Date().toISOString().replace(/\.\d+Z$/, 'Z');
const unique = (prefix, length = 15) => prefix + (++count).toString(16).padStart(length, '0');
const lower = (path) => path.normalize('NFC').toLowerCase();
const parent = (key) => key.slice(0, key.lastIndexOf('/'));
const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1);
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest();

function contentHash(bytes) {
	const whole = crypto.createHash('sha256');
	for (let at = 0; at < bytes.length; at += BLOCK) whole.update(sha256(bytes.subarray(at, at + BLOCK)));
	return whole.digest('hex');
}

/** ASCII only, as headers have it. */
const ascii = (value) => JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/* Paths and nodes */

const disallowed = new Set(['desktop.ini', 'thumbs.db', '.ds_store', 'icon\r', '.dropbox', '.dropbox.attr', '.dropbox.cache']);

/** {space, key, path}: key "" is the top. */
function place(at, text, wrap, write = false) {
	let space = at.space, path = text;
	const ns = /^ns:([0-9]+)(\/.*)?$/s.exec(text);
	if (ns) {
		space = namespaces.get(ns[1]);
		path = ns[2] ?? '';
		if (!space || !at.user.namespaces.includes(ns[1])) throw error(`${wrap}/not_found`);
	} else if (text.startsWith('id:') && !write) {
		const found = [...space.nodes].find(([, node]) => node.id === text);
		if (!found) throw error(`${wrap}/not_found`);
		return { space, key: found[0], path: found[1].path };
	} else if (text !== '' && !text.startsWith('/')) throw textual(400, `Error in call to API function: path: '${text}' did not match pattern`);
	const names = path.split('/').slice(1);
	if (path === '/' || names.some((n) => n === '' || n === '.' || n === '..' || [...n].length > 255 || /[\\\x00\x7f]| $/.test(n)))
		throw error(`${wrap}/malformed_path`);
	if (write && names.some((n) => disallowed.has(n.toLowerCase()))) throw error(`${wrap}/disallowed_name`);
	return { space, key: lower(path), path };
}

/** The names above are shown as they were made. */
function display(space, path) {
	const above = parent(path);
	if (above === '') return path;
	const node = space.nodes.get(lower(above));
	return `${node ? node.path : display(space, above)}/${nameOf(path)}`;
}

function metadata(at, node, tagged = true) {
	const common = { name: nameOf(node.path), path_lower: lower(node.path), path_display: node.path, id: node.id };
	if (node.tag === 'folder') return { ...(tagged && { '.tag': 'folder' }), ...common };
	return { ...(tagged && { '.tag': 'file' }), ...common, client_modified: node.client, server_modified: node.server, rev: node.rev,
		size: node.bytes.length, is_downloadable: true, content_hash: node.hash };
}

function find(at, text, wrap = 'path') {
	const where = place(at, text, wrap), node = where.space.nodes.get(where.key);
	if (!node) throw error(`${wrap}/not_found`);
	return { ...where, node };
}

const below = (space, key) => [...space.nodes].filter(([k]) => k.startsWith(`${key}/`));
const used = (user) => [...namespaces.get(user.home).nodes.values()].reduce((sum, n) => sum + (n.bytes?.length ?? 0), 0);

function makeParents(space, path, wrap) {
	const above = parent(path);
	if (above === '') return;
	const node = space.nodes.get(lower(above));
	if (node?.tag === 'file') throw error(`${wrap}/conflict/file_ancestor`);
	if (node) return;
	makeParents(space, above, wrap);
	space.nodes.set(lower(above), { tag: 'folder', id: unique('id:', 22), path: display(space, above) });
}

function free(space, path) {
	const [, stem, ext] = /^(.*?)(\.[^./]*)?$/s.exec(path);
	for (let n = 1; ; n++) {
		const other = `${stem} (${n})${ext ?? ''}`;
		if (!space.nodes.has(lower(other))) return other;
	}
}

/** CommitInfo: the file that `bytes` become; wrap: what the tags of its error stand in. */
function commit(at, info, bytes, wrap, reason = {}) {
	const fail = (tags) => (wrap === 'upload'
		? new Answer(409, { error_summary: `path/${tags}/..`, error: { '.tag': 'path', reason: union(tags.split('/')), upload_session_id: unique('fake-session-'), ...reason } })
		: error(`path/${tags}`));
	let where;
	try {
		where = place(at, info.path, 'path', true);
		if (where.key === '') throw error('path/malformed_path');
		makeParents(where.space, where.path, 'path');
	} catch (e) {
		throw e.status === 409 ? fail(e.value.error_summary.slice(5, -3)) : e;
	}
	const { space } = where, there = space.nodes.get(where.key);
	const mode = typeof info.mode === 'string' ? info.mode : info.mode?.['.tag'] ?? 'add';
	const hash = contentHash(bytes);
	if (info.client_modified !== undefined && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(info.client_modified))
		throw textual(400, `Error in call to API function: client_modified: time data '${info.client_modified}' does not match format`);
	let path = there ? there.path : display(space, where.path);
	if (there || mode === 'update') {
		const same = there?.hash === hash && !info.strict_conflict;
		const conflict = there?.tag === 'folder' || (mode === 'add' && !same) ||
			(mode === 'update' && (there ? there.rev !== info.mode.update && !same : info.strict_conflict));
		if (conflict && !info.autorename) throw fail(`conflict/${there?.tag ?? 'file'}`);
		if (conflict) path = free(space, path);
		else if (there?.hash === hash) return metadata(at, there, false); // nothing is written
	}
	if (used(at.user) - (there?.bytes?.length ?? 0) + bytes.length > at.user.allocated) throw fail('insufficient_space');
	const old = space.nodes.get(lower(path));
	const node = { tag: 'file', id: old?.id ?? unique('id:', 22), path, rev: unique('016'), bytes, hash, server: now(),
		client: info.client_modified ?? now() };
	space.nodes.set(lower(path), node);
	space.revisions ??= new Map();
	space.revisions.set(node.rev, node);
	return metadata(at, node, false);
}

/** Under a place of `from`, into the place `to`; `to` is free. */
function relocate(from, to, copies) {
	const pairs = [[from.key, from.node], ...below(from.space, from.key)];
	const made = pairs.map(([key, node]) => [to.key + key.slice(from.key.length), { ...node,
		path: to.path + node.path.slice(from.node.path.length),
		...(copies && { id: unique('id:', 22) }), ...(node.tag === 'file' && { rev: unique('016') }) }]);
	if (!copies) for (const [key] of pairs) from.space.nodes.delete(key);
	for (const [key, node] of made) to.space.nodes.set(key, node);
	return made[0][1];
}

function relocation(at, arg, copies) {
	const from = find(at, arg.from_path, 'from_lookup'), to = place(at, arg.to_path, 'to', true);
	if (to.key === '') throw error('to/conflict/folder');
	if (from.space === to.space && to.key.startsWith(`${from.key}/`)) throw error(copies ? 'duplicated_or_nested_paths' : 'cant_move_folder_into_itself');
	let there = to.space.nodes.get(to.key);
	if (there && arg.autorename) {
		to.path = free(to.space, to.path);
		to.key = lower(to.path);
		there = undefined;
	}
	if (there) throw error(`to/conflict/${there.tag}`);
	if (1 + below(from.space, from.key).length > 10000) throw error('too_many_files');
	makeParents(to.space, to.path, 'to');
	to.path = display(to.space, to.path);
	return { metadata: metadata(at, relocate(from, to, copies)) };
}

/** What is refused is kept: "this ID may be used to retry the commit with upload_session/finish". */
function upload(at, arg, bytes) {
	checkHash(arg, bytes);
	try {
		return commit(at, arg, bytes, 'upload');
	} catch (e) {
		const id = e.value?.error?.upload_session_id;
		if (id) sessions.set(id, { id, type: 'sequential', user: at.user, pieces: new Map([[0, bytes]]), closed: false, refused: true });
		throw e;
	}
}

/* Upload sessions */

function lookup(at, id, wrap) {
	const session = sessions.get(id);
	if (!session || session.user !== at.user) throw error(`${wrap}not_found`);
	return session;
}

const length = (session) => Math.max(0, ...[...session.pieces].map(([at, b]) => at + b.length));

function checkHash(arg, bytes) {
	if (bytes.length > REQUEST_MAX) throw error('payload_too_large');
	if (arg.content_hash !== undefined && arg.content_hash !== contentHash(bytes)) throw error('content_hash_mismatch');
}

function append(session, arg, bytes, wrap) {
	const { offset } = arg.cursor, concurrent = session.type === 'concurrent';
	if (session.closed) throw error(`${wrap}closed`);
	if (concurrent && offset % BLOCK !== 0) throw error(`${wrap}concurrent_session_invalid_offset`);
	if (concurrent && bytes.length % BLOCK !== 0 && !arg.close) throw error(`${wrap}concurrent_session_invalid_data_size`);
	if (!concurrent && offset !== length(session)) throw error(`${wrap}incorrect_offset`, { correct_offset: length(session) });
	if (offset + bytes.length > FILE_MAX) throw error(`${wrap}too_large`);
	if (bytes.length > 0) {
		if (damaging) bytes[0] ^= 1;
		damaging = false;
		session.pieces.set(offset, bytes);
	}
	session.closed ||= arg.close === true;
	if (arg.close) session.end = offset + bytes.length;
	appended += bytes.length;
}

function start(at, arg, bytes) {
	const type = arg.session_type?.['.tag'] ?? arg.session_type ?? 'sequential';
	checkHash(arg, bytes);
	if (type === 'concurrent' && bytes.length > 0) throw error('concurrent_session_data_not_allowed');
	if (type === 'concurrent' && arg.close) throw error('concurrent_session_close_not_allowed');
	const id = unique('pid_upload_session:fake');
	const session = { id, type, user: at.user, pieces: new Map(), closed: false };
	sessions.set(id, session);
	append(session, { cursor: { offset: 0 }, close: arg.close }, bytes, '');
	return { session_id: id };
}

/** All of it, if nothing is missing. */
function joined(session) {
	const whole = [];
	let at = 0;
	for (const [offset, bytes] of [...session.pieces].sort((a, b) => a[0] - b[0])) {
		if (offset > at) throw error('concurrent_session_missing_data');
		whole.push(bytes.subarray(at - offset));
		at = Math.max(at, offset + bytes.length);
	}
	if (session.end !== undefined && at !== session.end) throw error('concurrent_session_missing_data');
	return Buffer.concat(whole);
}

function finish(at, arg, bytes, batch = false) {
	const session = lookup(at, arg.cursor.session_id, 'lookup_failed/'), concurrent = session.type === 'concurrent';
	checkHash(arg, bytes);
	if (concurrent && bytes.length > 0) throw error('concurrent_session_data_not_allowed');
	if (concurrent && !session.closed) throw error('concurrent_session_not_closed');
	if (batch && !session.closed) throw error('lookup_failed/not_closed');
	if (bytes.length > 0) append(session, arg, bytes, 'lookup_failed/');
	const whole = joined(session);
	if (arg.cursor.offset + bytes.length !== whole.length) throw error('lookup_failed/incorrect_offset', { correct_offset: whole.length });
	const made = commit(at, arg.commit, whole, 'finish');
	sessions.delete(session.id);
	return made;
}

function finishBatch(at, arg) {
	if (arg.entries.length > 1000) throw textual(400, 'Error in call to API function "files/upload_session/finish_batch_v2": request body: entries: 1000 is the most');
	return { entries: arg.entries.map((entry) => {
		try {
			return { '.tag': 'success', ...finish(at, entry, Buffer.alloc(0), true) };
		} catch (e) {
			if (e.status !== 409) throw e;
			return { '.tag': 'failure', failure: e.value.error };
		}
	}) };
}

/* Lists */

function page(at, list) {
	const { space } = list.where, prefix = `${list.where.key}/`;
	const all = [...space.nodes].filter(([k]) => k.startsWith(prefix) && (list.recursive || !k.slice(prefix.length).includes('/')))
		.sort(([a], [b]) => (a < b ? -1 : 1)).filter(([k]) => list.after === undefined || k > list.after);
	const some = all.slice(0, list.limit);
	const more = some.length < all.length, seen = list.seen ?? space.nodes.log.length;
	return { entries: some.map(([, node]) => metadata(at, node)), cursor: cursorOf(list, { after: some.at(-1)?.[0], seen, follows: !more }), has_more: more };
}

function cursorOf({ where, recursive, limit }, more) {
	return Buffer.from(JSON.stringify({ ns: where.space.id, key: where.key, recursive, limit, epoch, ...more })).toString('base64url');
}

/** Of the log from `seen` on: the last of each entry that the list has. */
function unseen({ where, recursive, seen }) {
	const { log } = where.space.nodes, prefix = `${where.key}/`, last = new Map();
	for (let i = seen; i < log.length; i++) {
		if (!log[i].key.startsWith(prefix) || (!recursive && log[i].key.slice(prefix.length).includes('/'))) continue;
		last.delete(log[i].key);
		last.set(log[i].key, { ...log[i], at: i });
	}
	return [...last.values()];
}

/** What has changed since the list ended: entries as they are, or that they are gone. */
function follow(at, list) {
	// A folder that is gone is told without what was in it.
	const { nodes } = list.where.space, gone = (key) => key !== list.where.key && (!nodes.has(key) || gone(parent(key)));
	const all = unseen(list).filter(({ key }) => !gone(parent(key))), some = all.slice(0, list.limit), more = some.length < all.length;
	const entries = some.map(({ key, path }) => {
		const node = list.where.space.nodes.get(key);
		return node ? metadata(at, node) : { '.tag': 'deleted', name: nameOf(path), path_lower: key, path_display: path };
	});
	return { entries, cursor: cursorOf(list, { seen: more ? some.at(-1).at + 1 : list.where.space.nodes.log.length, follows: true }), has_more: more };
}

function checkList(at, arg) {
	const where = place(at, arg.path, 'path');
	if (where.key !== '') {
		const { node } = find(at, arg.path);
		if (node.tag !== 'folder') throw error('path/not_folder');
	}
	if (arg.limit !== undefined && !(arg.limit >= 1 && arg.limit <= 2000)) throw textual(400, `Error in call to API function: limit: ${arg.limit} is not within range`);
	return where;
}

function listFolder(at, arg) {
	return page(at, { where: checkList(at, arg), recursive: arg.recursive ?? false, limit: arg.limit ?? 500 });
}

function latestCursor(at, arg) {
	const where = checkList(at, arg);
	return { cursor: cursorOf({ where, recursive: arg.recursive ?? false, limit: arg.limit ?? 500 }, { seen: where.space.nodes.log.length, follows: true }) };
}

/** The list that the cursor is of. */
function listOf(name, text) {
	let cursor;
	try {
		cursor = JSON.parse(Buffer.from(text, 'base64url').toString());
	} catch {
		throw textual(400, `Error in call to API function "${name}": cursor: Invalid "cursor" parameter`);
	}
	if (cursor.epoch !== epoch) throw error('reset');
	return { ...cursor, where: { space: namespaces.get(cursor.ns), key: cursor.key } };
}

function listContinue(at, arg) {
	const list = listOf('files/list_folder/continue', arg.cursor), { space, key } = list.where;
	if (key !== '' && space.nodes.get(key)?.tag !== 'folder') throw error('path/not_found');
	return list.follows ? follow(at, list) : page(at, list);
}

/** Waits until there is something, or for so many seconds. */
async function longpoll(at, arg) {
	const seconds = arg.timeout ?? 30, name = 'files/list_folder/longpoll';
	if (!(seconds >= 30 && seconds <= 480)) throw textual(400, `Error in call to API function "${name}": request body: timeout: ${seconds} is not within range`);
	const ready = () => unseen(listOf(name, arg.cursor)).length > 0;
	let look, timer;
	const told = ready() || (await new Promise((resolve, reject) => {
		look = () => {
			try {
				if (ready()) resolve(true);
			} catch (e) {
				reject(e);
			}
		};
		timer = setTimeout(() => resolve(false), seconds * 1000);
		at.socket.once('close', () => resolve(false));
		waiters.add(look);
	}).finally(() => {
		waiters.delete(look);
		clearTimeout(timer);
	}));
	return { changes: told, ...(backoff > 0 && { backoff }) };
}

function remove(at, arg) {
	const found = find(at, arg.path, 'path_lookup');
	if (arg.parent_rev !== undefined) {
		if (!/^[0-9a-f]{9,}$/.test(arg.parent_rev)) throw textual(400, `Error in call to API function "files/delete_v2": parent_rev: '${arg.parent_rev}' did not match pattern`);
		if (found.node.tag === 'folder') throw error('path_write/conflict/folder');
		if (found.node.rev !== arg.parent_rev) throw error('path_write/conflict/file');
	}
	for (const [key] of [[found.key], ...below(found.space, found.key)]) found.space.nodes.delete(key);
	return { metadata: metadata(at, found.node) };
}

function makeFolder(at, arg) {
	const where = place(at, arg.path, 'path', true), there = where.space.nodes.get(where.key);
	if (where.key === '') throw error('path/conflict/folder');
	if (there) throw error(`path/conflict/${there.tag}`);
	makeParents(where.space, where.path, 'path');
	const node = { tag: 'folder', id: unique('id:', 22), path: display(where.space, where.path) };
	where.space.nodes.set(where.key, node);
	return { metadata: metadata(at, node, false) };
}

function restore(at, arg) {
	const where = place(at, arg.path, 'path_write', true), old = where.space.revisions?.get(arg.rev);
	if (!old) throw error('invalid_revision');
	return commit(at, { path: arg.path, mode: 'overwrite', client_modified: old.client }, old.bytes, 'finish');
}

function saveReference(at, arg) {
	const from = references.get(arg.copy_reference), to = place(at, arg.path, 'path', true);
	if (!from) throw error('invalid_copy_reference');
	if (to.space.nodes.has(to.key)) throw error(`path/conflict/${to.space.nodes.get(to.key).tag}`);
	makeParents(to.space, to.path, 'path');
	to.path = display(to.space, to.path);
	return { metadata: metadata(at, relocate(from, to, true)) };
}

/** What the URL gives, or undefined. */
async function fetched(url) {
	const pieces = [];
	let length = 0;
	try {
		const res = await fetch(url, { signal: AbortSignal.timeout(PULL_MS) });
		if (!res.ok) return undefined;
		for await (const piece of res.body) {
			length += piece.length;
			if (length > PULL_MAX) return undefined; // leaving the loop ends the connection
			pieces.push(piece);
		}
	} catch {
		return undefined;
	}
	pulled += length;
	return Buffer.concat(pieces);
}

async function runJob(at, arg, epochOfJob) {
	const bytes = await fetched(arg.url);
	reads++;
	await holding?.ended;
	if (epochOfJob !== users) return undefined; // everything was forgotten meanwhile
	if (!bytes) return { '.tag': 'failed', failed: { '.tag': 'download_failed' } };
	try {
		return { '.tag': 'complete', ...commit(at, { path: arg.path, mode: 'add', autorename: true, strict_conflict: true }, bytes, 'finish') };
	} catch (e) {
		return { '.tag': 'failed', failed: e.value.error };
	}
}

function saveUrl(at, arg) {
	const id = unique('fake-job-');
	if (!/^\//.test(arg.path)) throw textual(400, `Error in call to API function "files/save_url": request body: path: '${arg.path}' did not match pattern`);
	if (!/^https?:$/.test(URL.canParse(arg.url) ? new URL(arg.url).protocol : '')) throw error('invalid_url');
	place(at, arg.path, 'path', true);
	begun++;
	jobs.set(id, { '.tag': 'in_progress' });
	runJob(at, arg, users).then((state) => { if (state && jobs.has(id)) jobs.set(id, state); });
	return { '.tag': 'async_job_id', async_job_id: id };
}

function controlJobs({ hold, forget }) {
	if (forget) jobs.clear();
	if (hold === undefined) return;
	holding?.go();
	holding = undefined;
	if (!hold) return;
	holding = {};
	holding.ended = new Promise((go) => { holding.go = go; });
}

function download(at, arg) {
	if (!arg.path.startsWith('rev:')) {
		const { node } = find(at, arg.path);
		if (node.tag !== 'file') throw error('path/not_file');
		return node;
	}
	const node = at.space.revisions?.get(arg.path.slice(4));
	if (!node) throw error('path/not_found');
	return node;
}

function temporaryLink(at, arg) {
	const node = download(at, arg), id = unique('fake-link-', 20);
	links.set(id, { node, until: Date.now() + 4 * 3600 * 1000 });
	return { metadata: metadata(at, node, false), link: `${at.base}/fake-link/${id}` };
}

function makeReference(at, arg) {
	const found = find(at, arg.path), id = unique('fakeref', 20);
	references.set(id, { ...found, node: { ...found.node } });
	return { metadata: metadata(at, found.node), copy_reference: id, expires: '2056-01-01T00:00:00Z' };
}

/* The lock of a namespace */

const tooMany = 'too_many_write_operations';

/** The place where a write is carried out when it is its turn; throws if there are too many. */
async function exclusively(at, write) {
	const { space } = at;
	if (lock.ms === 0) return write();
	if ((space.writers ?? 0) > lock.waits) {
		locked++;
		throw new Answer(429, { error_summary: `${tooMany}/..`, error: { reason: { '.tag': tooMany }, retry_after: 1 } }, { 'Retry-After': '1' });
	}
	space.writers = (space.writers ?? 0) + 1;
	const held = (space.turn ?? Promise.resolve()).then(() => new Promise((over) => { setTimeout(over, lock.ms); }));
	space.turn = held;
	await held;
	space.writers--;
	return write();
}

const writing = (answer) => (at, arg, bytes) => exclusively(at, () => answer(at, arg, bytes));

/** "You should retry uploading this file" is said of each. */
async function finishMany(at, arg) {
	try {
		return await exclusively(at, () => finishBatch(at, arg));
	} catch (e) {
		if (e.status !== 429) throw e;
		return { entries: arg.entries.map(() => ({ '.tag': 'failure', failure: { '.tag': tooMany } })) };
	}
}

/* Routes: host, style, arguments (with ! those that must be there), and what answers */

const commitFields = 'path! mode autorename client_modified mute property_groups strict_conflict content_hash';
const relocationFields = 'from_path! to_path! allow_shared_folder autorename allow_ownership_transfer';
const listFields = 'path! recursive include_media_info include_deleted include_has_explicit_shared_members include_mounted_folders limit shared_link include_property_groups include_non_downloadable_files include_restorable_info';
const routes = {
	'check/user': ['api', 'rpc', 'query', (at, arg) => ({ result: arg.query ?? '' })],
	'users/get_current_account': ['api', 'rpc', '', (at) => ({ account_id: at.user.id, email: at.user.mail, email_verified: true, disabled: false, locale: 'en',
		referral_link: 'https://example.com/', is_paired: false, account_type: { '.tag': 'basic' }, name: { given_name: 'F', surname: 'U', familiar_name: 'F', display_name: 'F U', abbreviated_name: 'FU' },
		root_info: { '.tag': 'user', root_namespace_id: at.user.home, home_namespace_id: at.user.home } })],
	'users/get_space_usage': ['api', 'rpc', '', (at) => ({ used: used(at.user), allocation: { '.tag': 'individual', allocated: at.user.allocated } })],
	'files/list_folder': ['api', 'rpc', listFields, listFolder],
	'files/list_folder/continue': ['api', 'rpc', 'cursor!', listContinue],
	'files/list_folder/get_latest_cursor': ['api', 'rpc', listFields, latestCursor],
	'files/list_folder/longpoll': ['notify', 'rpc', 'cursor! timeout', longpoll],
	'files/get_metadata': ['api', 'rpc', 'path! include_media_info include_deleted include_has_explicit_shared_members include_property_groups', (at, arg) => {
		if (arg.path === '' || arg.path === '/') throw textual(400, 'Error in call to API function "files/get_metadata": request body: path: The root folder is unsupported.');
		return metadata(at, find(at, arg.path).node);
	}],
	'files/delete_v2': ['api', 'rpc', 'path! parent_rev', writing(remove)],
	'files/create_folder_v2': ['api', 'rpc', 'path! autorename', writing(makeFolder)],
	'files/copy_v2': ['api', 'rpc', relocationFields, writing((at, arg) => relocation(at, arg, true))],
	'files/move_v2': ['api', 'rpc', relocationFields, writing((at, arg) => relocation(at, arg, false))],
	'files/restore': ['api', 'rpc', 'path! rev!', writing(restore)],
	'files/copy_reference/get': ['api', 'rpc', 'path!', makeReference],
	'files/copy_reference/save': ['api', 'rpc', 'copy_reference! path!', writing(saveReference)],
	'files/get_temporary_link': ['api', 'rpc', 'path!', temporaryLink],
	'files/save_url': ['api', 'rpc', 'path! url!', saveUrl],
	'files/save_url/check_job_status': ['api', 'rpc', 'async_job_id!', (at, arg) => {
		if (!jobs.has(arg.async_job_id)) throw error('invalid_async_job_id');
		return jobs.get(arg.async_job_id);
	}],
	'files/upload_session/finish_batch': ['api', 'rpc', 'entries!', async (at, arg) => ({ '.tag': 'complete', ...await finishMany(at, arg) })],
	'files/upload_session/finish_batch_v2': ['api', 'rpc', 'entries!', finishMany],
	'files/upload': ['content', 'upload', commitFields, writing(upload)],
	'files/upload_session/start': ['content', 'upload', 'close session_type content_hash', start],
	'files/upload_session/append_v2': ['content', 'upload', 'cursor! close content_hash', (at, arg, bytes) => {
		checkHash(arg, bytes);
		append(lookup(at, arg.cursor.session_id, ''), arg, bytes, '');
		return null;
	}],
	'files/upload_session/finish': ['content', 'upload', 'cursor! commit! content_hash', writing(finish)],
	'files/download': ['content', 'download', 'path! rev', download],
};

/* Access */

/** The page where a person agrees; as "OAuth guide" has it, with PKCE. */
function authorize(res, query) {
	if (query.get('client_id') !== app.id) throw textual(400, `Invalid client_id: "${query.get('client_id')}"`);
	if (query.get('response_type') !== 'code' || query.get('code_challenge_method') !== 'S256') throw textual(400, 'only codes with PKCE are faked');
	const code = unique('fake-code-'), back = new URL(query.get('redirect_uri'));
	codes.set(code, { challenge: query.get('code_challenge'), redirect: query.get('redirect_uri'), offline: query.get('token_access_type') === 'offline',
		scope: query.get('scope') });
	back.searchParams.set('code', code);
	back.searchParams.set('state', query.get('state'));
	res.writeHead(302, { Location: back.href, 'Content-Length': 0 });
	return res.end();
}

/** The code, once, for a token, and a refresh token if that was asked for. */
function takeCode(form) {
	const code = codes.get(form.get('code')), invalid = (why) => new Answer(400, { error: 'invalid_grant', error_description: why });
	codes.delete(form.get('code'));
	if (!code) throw invalid("code doesn't exist or has expired");
	if (form.get('redirect_uri') !== code.redirect) throw invalid('redirect_uri mismatch');
	if (sha256(form.get('code_verifier') ?? '').toString('base64url') !== code.challenge) throw invalid('invalid code verifier');
	const refresh = unique('fake-refresh-code-');
	grants.set(refresh, { user: users[0], pkce: true });
	return { ...newToken(grants.get(refresh)), scope: code.scope, uid: '1', account_id: users[0].id, ...(code.offline && { refresh_token: refresh }) };
}

function newToken(grant) {
	const token = unique('sl.fake-', 20);
	granted++;
	tokens.set(token, { grant, until: Date.now() + LIFE_S * 1000 });
	return { access_token: token, token_type: 'bearer', expires_in: LIFE_S };
}

function grantToken(req, form) {
	const basic = /^Basic (.*)$/.exec(req.headers.authorization ?? '');
	const [id, secret] = basic ? Buffer.from(basic[1], 'base64').toString().split(':').map(decodeURIComponent) : [form.get('client_id'), form.get('client_secret')];
	const grant = grants.get(form.get('refresh_token'));
	if (form.get('grant_type') === 'authorization_code' && id === app.id) return takeCode(form);
	if (form.get('grant_type') !== 'refresh_token') throw new Answer(400, { error: 'unsupported_grant_type', error_description: 'only codes and refresh tokens are faked' });
	if (id !== app.id) throw new Answer(400, { error: 'invalid_client_id', error_description: `Invalid client_id: "${id}"` });
	if (!grant) throw new Answer(400, { error: 'invalid_grant', error_description: 'refresh token is invalid or revoked' });
	if ((secret ?? null) !== null ? secret !== app.secret : !grant.pkce) throw new Answer(400, { error: 'invalid_client', error_description: 'Invalid client_id or client_secret' });
	return newToken(grant);
}

const unauthorized = (tag, fields = {}) => new Answer(401, { error_summary: `${tag}/..`, error: { '.tag': tag, ...fields } });

async function access(req) {
	const bearer = /^Bearer (.+)$/.exec(req.headers.authorization ?? '');
	const token = bearer && (tokens.get(bearer[1]) ?? ((await introspected(bearer[1])) && { grant: grants.get('fake-refresh-1'), until: Infinity }));
	if (!bearer) throw textual(401, 'The given OAuth 2 access token is malformed.');
	if (!token || ![...grants.values()].includes(token.grant)) throw unauthorized('invalid_access_token');
	if (token.until <= Date.now()) throw unauthorized('expired_access_token');
	const { user } = token.grant, root = req.headers['dropbox-api-path-root'];
	const wanted = root === undefined ? { '.tag': 'home' } : JSON.parse(root);
	const id = wanted['.tag'] === 'home' ? user.home : wanted[wanted['.tag']];
	if (!user.namespaces.includes(id)) throw new Answer(422, { error_summary: 'no_permission/..', error: { '.tag': 'no_permission' } });
	return { user, space: namespaces.get(id) };
}

function checkArg(name, fields, arg) {
	const bad = (why) => textual(400, `Error in call to API function "${name}": request body: ${why}`);
	const known = new Map(fields.split(' ').map((f) => [f.replace('!', ''), f.endsWith('!')]));
	if (arg === null || typeof arg !== 'object') {
		if (fields.includes('!')) throw bad('expected object');
		return {};
	}
	for (const field of Object.keys(arg)) if (!known.has(field)) throw bad(`unknown field '${field}'`);
	for (const [field, required] of known) if (required && arg[field] === undefined) throw bad(`missing required field '${field}'`);
	return arg;
}

function parse(name, text) {
	try {
		return text === '' ? null : JSON.parse(text);
	} catch {
		throw textual(400, `Error in call to API function "${name}": could not decode input as JSON`);
	}
}

async function call(req, res, url, bytes) {
	const name = url.pathname.slice(3), route = routes[name];
	if (!url.pathname.startsWith('/2/') || !route) throw textual(404, `Unknown API function: "${name}"`);
	const [host, style, fields, answer] = route, raw = req.headers['dropbox-api-arg'];
	// Documented is ASCII; rclone sends UTF-8, and is understood.
	const header = raw === undefined ? url.searchParams.get('arg') ?? undefined : Buffer.from(raw, 'latin1').toString();
	if (/dropboxapi\.com$/.test(url.hostname) && url.hostname !== `${host}.dropboxapi.com`) throw textual(404, `"${name}" is not served by ${url.hostname}`);
	if (req.method !== 'POST' && style !== 'download') throw textual(400, `Error in call to API function "${name}": your request used the HTTP method ${req.method}`);
	const type = req.headers['content-type'] ?? '';
	if (style === 'upload' && type !== 'application/octet-stream') throw textual(400, `Error in call to API function "${name}": Bad HTTP "Content-Type" header: "${type}"`);
	if (style === 'rpc' && bytes.length > 0 && !type.startsWith('application/json')) throw textual(400, `Error in call to API function "${name}": Bad HTTP "Content-Type" header: "${type}"`);
	if (style !== 'rpc' && (header === undefined || /[\x00-\x1f\x7f\ufffd]/.test(header))) throw textual(400, `Error in call to API function "${name}": HTTP header "Dropbox-API-Arg": could not decode input as JSON`);
	if (host === 'notify' && req.headers.authorization) throw textual(400, `Error in call to API function "${name}": it takes no authorization`);
	const at = { ...(host !== 'notify' && (await access(req))), socket: req.socket, base: `${req.socket.encrypted ? 'https' : 'http'}://${req.headers.host}` };
	const arg = checkArg(name, fields, parse(name, style === 'rpc' ? bytes.toString() : header));
	const result = await answer(at, arg, bytes);
	if (style !== 'download') return json(res, 200, result);
	return content(req, res, result, { 'Dropbox-API-Result': ascii(metadata(at, result, false)) });
}

function content(req, res, node, headers) {
	const asked = range(req.headers.range, node.bytes.length);
	if (![undefined, '*'].includes(req.headers['if-match'])) { // its ETags are weak: none matches
		res.writeHead(412, { 'Content-Length': 0 });
		return res.end();
	}
	if (asked === undefined) {
		res.writeHead(416, { 'Content-Range': `bytes */${node.bytes.length}`, 'Content-Length': 0 });
		return res.end();
	}
	const part = asked ? node.bytes.subarray(...asked) : node.bytes;
	res.writeHead(asked ? 206 : 200, { 'Content-Type': 'application/octet-stream', 'Content-Length': part.length, ETag: `W/"${node.rev}"`, ...headers,
		...(asked && { 'Content-Range': `bytes ${asked[0]}-${asked[1] - 1}/${node.bytes.length}` }) });
	return res.end(part);
}

async function handle(req, res, url) {
	try {
		const bytes = await body(req);
		if (/^(\/1)?\/oauth2\/token$/.test(url.pathname)) return json(res, 200, grantToken(req, new URLSearchParams([...url.searchParams, ...new URLSearchParams(bytes.toString())])));
		if (url.pathname === '/oauth2/authorize') return authorize(res, url.searchParams);
		const link = links.get(/^\/fake-link\/(.*)$/.exec(url.pathname)?.[1]);
		if (link && link.until > Date.now()) return content(req, res, link.node, {});
		return await call(req, res, url, bytes);
	} catch (e) {
		if (!(e instanceof Answer)) throw e;
		if (typeof e.value !== 'string') return json(res, e.status, e.value, e.headers);
		res.writeHead(e.status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(e.value), ...e.headers });
		return res.end(e.value);
	}
}

serve(handle, {
	hello: { tokenPath: '/oauth2/token', clientId: app.id, clientSecret: app.secret, refreshToken: 'fake-refresh-1', otherRefreshToken: 'fake-refresh-2',
		pkceRefreshToken: 'fake-refresh-pkce', teamNamespace: '2001' },
	state: () => ({ sessions: sessions.size, bytes: appended, tokens: granted, waiting: waiters.size, locked, pulled, jobs: begun, reads }),
	reset,
	files: () => [...namespaces.get(users[0].home).nodes.values()].filter((n) => n.bytes).map((n) => [n.path.slice(1), n.bytes]),
	uploads: () => [...sessions.values()].filter((s) => !s.refused).map(() => '?'), // told at the end only
	write: (path, bytes) => { commit({ user: users[0], space: namespaces.get(users[0].home) }, { path: `/${path}`, mode: 'overwrite' }, bytes, 'finish'); },
	forget: () => sessions.clear(),
	control: {
		'/-/expire': () => { for (const token of tokens.values()) token.until = 0; },
		'/-/revoke': ({ refreshToken }) => { grants.delete(refreshToken); },
		'/-/forget-sessions': () => sessions.clear(),
		'/-/reset-cursors': () => {
			epoch++;
			wake();
		},
		'/-/backoff': ({ seconds }) => { backoff = seconds; },
		'/-/lock': (asked) => { lock = { ms: 0, waits: 0, ...asked }; },
		'/-/damage': () => { damaging = true; },
		'/-/jobs': controlJobs,
		'/-/quota': ({ allocated }) => { for (const user of users) user.allocated = allocated; },
	},
});
