// Dropbox's own SDK against the fake (tests/fakes/dropbox.mjs), in the world that as-cloud.sh makes: what the SDK can do with
// Dropbox it must be able to do here.  SKYFERRY_TEST_SDK: where tests/fakes/sdk/package.json is installed.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';

const { Dropbox } = createRequire(`${process.env.SKYFERRY_TEST_SDK}/`)('dropbox');
const fake = JSON.parse(process.env.FAKE);
const control = (path, value) => fetch(`${process.env.FAKE_URL}/-/${path}`, { method: 'POST', body: JSON.stringify(value ?? {}) });
const MIB = 1 << 20;

function client(refreshToken, options = {}) {
	return new Dropbox({ clientId: fake.clientId, clientSecret: fake.clientSecret, refreshToken, ...options });
}
const dbx = client(fake.refreshToken);

/** The call is refused with this status, and tags. */
async function refused(status, tags, promise) {
	const e = await promise.then(() => assert.fail(`not refused: ${tags}`), (error) => error);
	assert.equal(e.status, status, `${tags}: ${JSON.stringify(e.error ?? e.message)}`);
	if (tags) assert.ok(e.error.error_summary.startsWith(tags), `${e.error.error_summary} is not ${tags}`);
	return e;
}

const tests = {
	async 'upload, metadata, list'() {
		const { result } = await dbx.filesUpload({ path: '/Dir/\u{1f600} ü.txt', contents: 'hello', mode: { '.tag': 'add' }, client_modified: '2001-02-03T04:05:06Z' });
		assert.equal(result.name, '\u{1f600} ü.txt');
		assert.equal(result.client_modified, '2001-02-03T04:05:06Z');
		const block = crypto.createHash('sha256').update('hello').digest();
		assert.equal(result.content_hash, crypto.createHash('sha256').update(block).digest('hex'));
		const got = (await dbx.filesGetMetadata({ path: '/dir/\u{1f600} Ü.TXT' })).result;
		assert.equal(got.path_display, '/Dir/\u{1f600} ü.txt');
		assert.equal(got.rev, result.rev);
		await refused(409, 'path/conflict/file', dbx.filesUpload({ path: '/dir/\u{1f600} Ü.TXT', contents: 'other', mode: { '.tag': 'add' } }));
		await refused(409, 'path/not_found', dbx.filesGetMetadata({ path: '/nothing' }));
		await refused(409, 'path/malformed_path', dbx.filesGetMetadata({ path: '/a\\b' }));
		await refused(400, '', dbx.filesGetMetadata({ path: '' }));
		await refused(400, '', dbx.filesGetMetadata({ path: '/x', unknown: 1 }));
	},

	async 'lists in pages, and a cursor that is reset'() {
		await dbx.filesCreateFolderV2({ path: '/many' });
		for (let i = 0; i < 7; i++) await dbx.filesUpload({ path: `/many/${i}`, contents: `${i}` });
		let { result } = await dbx.filesListFolder({ path: '/many', limit: 3 });
		const names = [];
		for (;;) {
			names.push(...result.entries.map((e) => e.name));
			if (!result.has_more) break;
			({ result } = await dbx.filesListFolderContinue({ cursor: result.cursor }));
		}
		assert.deepEqual(names, ['0', '1', '2', '3', '4', '5', '6']);
		await control('reset-cursors');
		await refused(409, 'reset', dbx.filesListFolderContinue({ cursor: result.cursor }));
		await refused(409, 'path/not_folder', dbx.filesListFolder({ path: '/many/0' }));
		await refused(400, '', dbx.filesListFolder({ path: '/many', limit: 2001 }));
	},

	async 'changes: a cursor of what is there now, a wait that ends with the first of them'() {
		await dbx.filesCreateFolderV2({ path: '/Follow' });
		const { cursor } = (await dbx.filesListFolderGetLatestCursor({ path: '/follow', recursive: true })).result;
		const wait = dbx.filesListFolderLongpoll({ cursor, timeout: 30 });
		while ((await (await control('state')).json()).waiting === 0) await new Promise(setImmediate);
		await dbx.filesUpload({ path: '/Follow/D/f', contents: 'f' });
		assert.deepEqual((await wait).result, { changes: true });
		let { result } = await dbx.filesListFolderContinue({ cursor });
		assert.deepEqual(result.entries.map((e) => [e['.tag'], e.path_display]), [['folder', '/Follow/D'], ['file', '/Follow/D/f']]);
		assert.equal(result.has_more, false);
		await dbx.filesDeleteV2({ path: '/follow/d' });
		await control('backoff', { seconds: 2 });
		assert.deepEqual((await dbx.filesListFolderLongpoll({ cursor: result.cursor })).result, { changes: true, backoff: 2 });
		await control('backoff', { seconds: 0 });
		({ result } = await dbx.filesListFolderContinue({ cursor: result.cursor }));
		assert.deepEqual(result.entries.map((e) => [e['.tag'], e.path_lower]), [['deleted', '/follow/d']]);
		assert.deepEqual((await dbx.filesListFolderContinue({ cursor: result.cursor })).result.entries, []);
		const list = (await dbx.filesListFolder({ path: '/follow' })).result; // its cursor follows too
		await dbx.filesUpload({ path: '/Follow/g', contents: 'g' });
		assert.deepEqual((await dbx.filesListFolderContinue({ cursor: list.cursor })).result.entries.map((e) => e.name), ['g']);
		const late = dbx.filesListFolderLongpoll({ cursor: (await dbx.filesListFolderGetLatestCursor({ path: '' })).result.cursor });
		while ((await (await control('state')).json()).waiting === 0) await new Promise(setImmediate);
		await control('reset-cursors');
		await refused(409, 'reset', late);
		await refused(400, '', dbx.filesListFolderLongpoll({ cursor, timeout: 29 }));
	},

	async 'downloads, of a revision too'() {
		const one = (await dbx.filesUpload({ path: '/f', contents: 'one' })).result;
		await dbx.filesUpload({ path: '/f', contents: 'two', mode: { '.tag': 'overwrite' } });
		const text = async (path) => (await dbx.filesDownload({ path })).result.fileBinary.toString();
		assert.equal(await text('/f'), 'two');
		assert.equal(await text(`rev:${one.rev}`), 'one');
		await refused(409, 'path/not_file', dbx.filesDownload({ path: '/many' }));
		const { link } = (await dbx.filesGetTemporaryLink({ path: '/f' })).result;
		const part = await fetch(link, { headers: { Range: 'bytes=1-' } });
		assert.equal(part.status, 206);
		assert.equal(await part.text(), 'wo');
	},

	async 'write modes, parent_rev'() {
		const first = (await dbx.filesUpload({ path: '/w', contents: '1' })).result;
		const second = (await dbx.filesUpload({ path: '/w', contents: '2', mode: { '.tag': 'update', update: first.rev } })).result;
		await refused(409, 'path/conflict/file', dbx.filesUpload({ path: '/w', contents: '3', mode: { '.tag': 'update', update: first.rev } }));
		await refused(409, 'path/conflict/file', dbx.filesUpload({ path: '/w', contents: '2', mode: { '.tag': 'add' }, strict_conflict: true }));
		// What was refused needs not be sent again.
		const e = await refused(409, 'path/conflict/file', dbx.filesUpload({ path: '/W', contents: 'kept', mode: { '.tag': 'add' }, strict_conflict: true }));
		const finish = (rev) => dbx.filesUploadSessionFinish({ cursor: { session_id: e.error.error.upload_session_id, offset: 4 },
			commit: { path: '/w', mode: { '.tag': 'update', update: rev }, strict_conflict: true } });
		await refused(409, 'path/conflict/file', finish(first.rev));
		const kept = (await finish(second.rev)).result;
		assert.equal(kept.path_display, '/w');
		assert.equal((await dbx.filesDownload({ path: '/w' })).result.fileBinary.toString(), 'kept');
		await dbx.filesUpload({ path: '/w', contents: '2', mode: { '.tag': 'update', update: kept.rev } });
		second.rev = (await dbx.filesGetMetadata({ path: '/w' })).result.rev;
		const same = (await dbx.filesUpload({ path: '/w', contents: '2', mode: { '.tag': 'overwrite' } })).result;
		assert.equal(same.rev, second.rev);
		await refused(409, 'path_write/conflict', dbx.filesDeleteV2({ path: '/w', parent_rev: first.rev }));
		await dbx.filesDeleteV2({ path: '/w', parent_rev: second.rev });
		await refused(409, 'path_lookup/not_found', dbx.filesDeleteV2({ path: '/w' }));
		await dbx.filesRestore({ path: '/w', rev: first.rev });
		await refused(409, 'content_hash_mismatch', dbx.filesUpload({ path: '/h', contents: 'x', content_hash: '0'.repeat(64) }));
		await control('quota', { allocated: 10 });
		await refused(409, 'path/insufficient_space', dbx.filesUpload({ path: '/q', contents: 'x'.repeat(20) }));
		await control('quota', { allocated: 2 ** 41 });
	},

	async 'a sequential session goes on where it was'() {
		const content = crypto.randomBytes(3000);
		const { session_id } = (await dbx.filesUploadSessionStart({ contents: content.subarray(0, 1000) })).result;
		const append = (offset, to) => dbx.filesUploadSessionAppendV2({ cursor: { session_id, offset }, contents: content.subarray(offset, to) });
		await append(1000, 2000);
		const e = await refused(409, 'incorrect_offset', append(0, 1000));
		assert.equal(e.error.error.correct_offset, 2000);
		const { result } = await dbx.filesUploadSessionFinish({ cursor: { session_id, offset: 2000 }, commit: { path: '/session' }, contents: content.subarray(2000) });
		assert.equal(result.size, 3000);
		assert.deepEqual((await dbx.filesDownload({ path: '/session' })).result.fileBinary, content);
		await refused(409, 'lookup_failed/not_found', dbx.filesUploadSessionFinish({ cursor: { session_id, offset: 3000 }, commit: { path: '/session' } }));
	},

	async 'a concurrent session in any order'() {
		const content = crypto.randomBytes(9 * MIB), part = 4 * MIB;
		const { session_id } = (await dbx.filesUploadSessionStart({ session_type: { '.tag': 'concurrent' } })).result;
		const append = (offset, to, close = false) => dbx.filesUploadSessionAppendV2({ cursor: { session_id, offset }, close, contents: content.subarray(offset, to) });
		const finish = () => dbx.filesUploadSessionFinish({ cursor: { session_id, offset: content.length }, commit: { path: '/concurrent' } });
		await refused(409, 'concurrent_session_invalid_offset', append(1, part + 1));
		await refused(409, 'concurrent_session_invalid_data_size', append(0, 1000));
		await append(part, 2 * part);
		await append(part, 2 * part); // once more
		await refused(409, 'concurrent_session_not_closed', finish());
		await append(0, part);
		await append(2 * part, content.length, true);
		await refused(409, 'closed', append(0, part));
		assert.equal((await finish()).result.size, content.length);
		assert.deepEqual((await dbx.filesDownload({ path: '/concurrent' })).result.fileBinary, content);
		await control('forget-sessions');
		await refused(409, 'not_found', append(0, part));
	},

	async 'sessions that are finished in one request, each as it can be'() {
		const start = async (contents, close = true) => (await dbx.filesUploadSessionStart({ close, contents })).result.session_id;
		const entry = (session_id, offset, path) => ({ cursor: { session_id, offset }, commit: { path, mode: { '.tag': 'add' }, strict_conflict: true } });
		const entries = [entry(await start('one'), 3, '/batch/1'), entry(await start('two'), 3, '/batch/1'), entry(await start('three', false), 5, '/batch/3'),
			entry(await start('four'), 4, '/batch/4')];
		const { result } = await dbx.filesUploadSessionFinishBatchV2({ entries });
		assert.deepEqual(result.entries.map((e) => e['.tag']), ['success', 'failure', 'failure', 'success']);
		assert.equal(result.entries[0].name, '1');
		assert.equal(result.entries[1].failure.path.conflict['.tag'], 'file');
		assert.equal(result.entries[2].failure.lookup_failed['.tag'], 'not_closed');
		assert.equal((await dbx.filesDownload({ path: '/batch/4' })).result.fileBinary.toString(), 'four');
		await refused(400, '', dbx.filesUploadSessionFinishBatchV2({ entries: Array(1001).fill(entries[0]) }));
	},

	async 'a closed session is finished alone too, and writes that meet are refused for the lock'() {
		const start = async (contents) => (await dbx.filesUploadSessionStart({ close: true, contents })).result.session_id;
		const entry = (session_id, path) => ({ cursor: { session_id, offset: 4 }, commit: { path } });
		const { result } = await dbx.filesUploadSessionFinish(entry(await start('lone'), '/lock/1'));
		assert.equal(result.size, 4);
		const [two, three] = await Promise.all([start('two.'), start('3333')]);
		await control('lock', { ms: 200, waits: 0 });
		const upload = dbx.filesUpload({ path: '/lock/2', contents: 'held' });
		await start('free'); // takes no lock
		const e = await refused(429, 'too_many_write_operations', dbx.filesUploadSessionFinish(entry(two, '/lock/3')));
		assert.equal(e.headers.get('Retry-After'), '1');
		const batch = (await dbx.filesUploadSessionFinishBatchV2({ entries: [entry(two, '/lock/3'), entry(three, '/lock/4')] })).result;
		assert.deepEqual(batch.entries.map((one) => one.failure['.tag']), Array(2).fill('too_many_write_operations'));
		await upload;
		const again = (await dbx.filesUploadSessionFinishBatchV2({ entries: [entry(two, '/lock/3'), entry(three, '/lock/4')] })).result;
		assert.deepEqual(again.entries.map((one) => one['.tag']), ['success', 'success']);
		await control('lock', { ms: 0 });
	},

	async 'saves what a URL gives, in a job'() {
		const server = http.createServer((req, res) => res.writeHead(req.url === '/file' ? 200 : 403).end('from afar'));
		await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
		const url = (name) => `http://127.0.0.1:${server.address().port}/${name}`;
		const ended = async (async_job_id) => {
			for (;;) {
				const { result } = await dbx.filesSaveUrlCheckJobStatus({ async_job_id });
				if (result['.tag'] !== 'in_progress') return result;
			}
		};
		const save = async (path, name) => (await dbx.filesSaveUrl({ path, url: url(name) })).result;
		await control('jobs', { hold: true });
		const launched = await save('/saved/a.txt', 'file');
		assert.equal(launched['.tag'], 'async_job_id');
		assert.equal((await dbx.filesSaveUrlCheckJobStatus({ async_job_id: launched.async_job_id })).result['.tag'], 'in_progress');
		await refused(409, 'path/not_found', dbx.filesGetMetadata({ path: '/saved/a.txt' }));
		await control('jobs', { hold: false });
		const made = await ended(launched.async_job_id);
		assert.equal(made['.tag'], 'complete');
		assert.equal(made.path_display, '/saved/a.txt');
		assert.equal((await dbx.filesDownload({ path: '/saved/a.txt' })).result.fileBinary.toString(), 'from afar');
		// What is there stays: the new one is renamed.
		assert.equal((await ended((await save('/saved/a.txt', 'file')).async_job_id)).name, 'a (1).txt');
		assert.equal((await dbx.filesGetMetadata({ path: '/saved/a.txt' })).result.rev, made.rev);
		assert.deepEqual(await ended((await save('/saved/b', 'nothing')).async_job_id), { '.tag': 'failed', failed: { '.tag': 'download_failed' } });
		assert.equal((await ended((await save('/saved/a.txt/b', 'file')).async_job_id)).failed.path.conflict['.tag'], 'file_ancestor');
		await refused(409, 'invalid_url', dbx.filesSaveUrl({ path: '/saved/c', url: 'ftp://127.0.0.1/x' }));
		await refused(409, 'path/disallowed_name', save('/saved/desktop.ini', 'file'));
		await refused(400, '', save('saved', 'file'));
		await refused(409, 'invalid_async_job_id', dbx.filesSaveUrlCheckJobStatus({ async_job_id: 'none' }));
		const by_id = (await dbx.filesMoveV2({ from_path: made.id, to_path: '/moved by id' })).result.metadata;
		assert.equal(by_id.id, made.id);
		server.close();
	},

	async 'copies, moves, folders'() {
		await dbx.filesUpload({ path: '/tree/sub/file', contents: 'inside' });
		await dbx.filesCopyV2({ from_path: '/tree', to_path: '/copy' });
		await dbx.filesMoveV2({ from_path: '/tree', to_path: '/Moved' });
		assert.equal((await dbx.filesGetMetadata({ path: '/moved/sub/file' })).result.path_display, '/Moved/sub/file');
		await refused(409, 'from_lookup/not_found', dbx.filesMoveV2({ from_path: '/tree', to_path: '/x' }));
		await refused(409, 'to/conflict/folder', dbx.filesMoveV2({ from_path: '/copy', to_path: '/Moved' }));
		await refused(409, 'cant_move_folder_into_itself', dbx.filesMoveV2({ from_path: '/copy', to_path: '/copy/x' }));
		await refused(409, 'path/conflict/folder', dbx.filesCreateFolderV2({ path: '/COPY' }));
		await refused(409, 'path/conflict/file_ancestor', dbx.filesUpload({ path: '/copy/sub/file/x', contents: '' }));
		await dbx.filesDeleteV2({ path: '/copy' });
		await refused(409, 'path/not_found', dbx.filesGetMetadata({ path: '/copy/sub/file' }));
	},

	async 'between accounts of one app, and namespaces'() {
		const other = client(fake.otherRefreshToken);
		await refused(409, 'path/not_found', other.filesGetMetadata({ path: '/f' }));
		const { copy_reference } = (await dbx.filesCopyReferenceGet({ path: '/f' })).result;
		await other.filesCopyReferenceSave({ copy_reference, path: '/theirs' });
		assert.equal((await other.filesDownload({ path: '/theirs' })).result.fileBinary.toString(), 'two');
		const pathRoot = (id) => JSON.stringify({ '.tag': 'namespace_id', namespace_id: id });
		await client(fake.refreshToken, { pathRoot: pathRoot(fake.teamNamespace) }).filesUpload({ path: '/team', contents: 'ours' });
		const team = client(fake.otherRefreshToken, { pathRoot: pathRoot(fake.teamNamespace) });
		assert.equal((await team.filesDownload({ path: '/team' })).result.fileBinary.toString(), 'ours');
		await refused(422, 'no_permission', client(fake.refreshToken, { pathRoot: pathRoot('1002') }).filesGetMetadata({ path: '/theirs' }));
		assert.ok((await other.usersGetSpaceUsage()).result.used > 0);
	},

	async 'tokens expire, grants are revoked'() {
		const plain = new Dropbox({ accessToken: dbx.auth.getAccessToken() });
		await plain.filesGetMetadata({ path: '/f' });
		await control('expire');
		await refused(401, 'expired_access_token', plain.filesGetMetadata({ path: '/f' }));
		await client(fake.refreshToken).filesGetMetadata({ path: '/f' });
		await new Dropbox({ clientId: fake.clientId, refreshToken: fake.pkceRefreshToken }).filesGetMetadata({ path: '/f' });
		await control('revoke', { refreshToken: fake.refreshToken });
		const e = await client(fake.refreshToken).filesGetMetadata({ path: '/f' }).then(() => assert.fail(), (error) => error);
		assert.equal(e.status, 400);
		assert.equal(e.error.error, 'invalid_grant');
	},
};

let failed = 0;
for (const [name, run] of Object.entries(tests)) {
	try {
		await run();
		console.log(`ok ${name}`);
	} catch (e) {
		failed++;
		console.log(`not ok ${name}: ${e.stack}`);
	}
}
process.exit(failed === 0 ? 0 : 1);
