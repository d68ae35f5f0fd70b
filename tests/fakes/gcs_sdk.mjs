// Google's own SDK (@google-cloud/storage) against the fake (tests/fakes/gcs.mjs), in the world that as-cloud.sh makes: what
// the SDK can do with Cloud Storage it must be able to do here.  SKYFERRY_TEST_SDK: where tests/fakes/sdk/package.json is
// installed.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

const { IdempotencyStrategy, Storage, TransferManager } = createRequire(`${process.env.SKYFERRY_TEST_SDK}/`)('@google-cloud/storage');
const fake = JSON.parse(process.env.FAKE);
const MIB = 1 << 20;
const control = (name, value) => fetch(`${process.env.FAKE_URL}/-/${name}`, { method: 'POST', body: JSON.stringify(value ?? {}) });
const client = (text) => new Storage({ projectId: JSON.parse(text).project_id, credentials: JSON.parse(text), retryOptions: { idempotencyStrategy: IdempotencyStrategy.RetryAlways } });
const storage = client(fake.serviceAccount), stranger = client(fake.stranger);
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'gcs-sdk.'));
process.on('exit', () => fs.rmSync(dir, { recursive: true }));

/** The call is refused with this status. */
async function refused(status, promise) {
	const e = await promise.then(() => assert.fail(`not refused with ${status}`), (error) => error);
	assert.equal(Number(e.code ?? e.status), status, e.stack);
	return e;
}

const tests = {
	async 'buckets: made, listed, not twice, not without a project, removed when empty'() {
		const [box] = await storage.createBucket('box', { storageClass: 'NEARLINE' });
		assert.equal((await box.getMetadata())[0].storageClass, 'NEARLINE');
		await storage.createBucket('other');
		assert.deepEqual((await storage.getBuckets())[0].map((b) => b.name), ['box', 'other']);
		await refused(409, storage.createBucket('box'));
		await refused(409, stranger.createBucket('box'));
		await refused(400, storage.createBucket('NO'));
		await storage.bucket('other').delete();
		await refused(404, storage.bucket('other').getMetadata());
	},

	async 'one request, with metadata; its hashes; a precondition'() {
		const file = storage.bucket('box').file('dir/ü 100%.txt');
		await file.save('hello', { resumable: false, contentType: 'text/x-test', metadata: { metadata: { mtime: '2001-02-03T04:05:06Z' } } });
		const [metadata] = await file.getMetadata();
		assert.equal(metadata.contentType, 'text/x-test');
		assert.equal(metadata.metadata.mtime, '2001-02-03T04:05:06Z');
		assert.equal(metadata.md5Hash, crypto.createHash('md5').update('hello').digest('base64'));
		assert.equal(metadata.crc32c, 'mnG7TA==');
		await refused(412, file.save('other', { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } }));
		await file.setMetadata({ metadata: { mode: '0600' } });
		assert.deepEqual((await file.getMetadata())[0].metadata, { mtime: '2001-02-03T04:05:06Z', mode: '0600' });
		await refused(400, storage.bucket('box').file('new\nline').save('x', { resumable: false }));
	},

	async 'resumable, in chunks, and one that is broken off and resumed'() {
		const content = crypto.randomBytes(3 * MIB + 17), file = storage.bucket('box').file('large');
		await file.save(content, { resumable: true, chunkSize: MIB });
		assert.deepEqual((await file.download())[0], content);
		await control('faults', [{ match: 'upload_id', after: 1, times: 1, reset: true }, { match: 'upload_id', after: 2, times: 1, status: 503 }]);
		await file.save(content, { resumable: true, chunkSize: MIB });
		assert.deepEqual((await file.download())[0], content);
		await file.save('', { resumable: true });
		assert.equal((await file.download())[0].length, 0);
	},

	async 'in parts of the XML API, several at once'() {
		const content = crypto.randomBytes(11 * MIB), local = path.join(dir, 'parts');
		fs.writeFileSync(local, content);
		const manager = new TransferManager(storage.bucket('box'));
		await manager.uploadFileInChunks(local, { chunkSizeBytes: 5 * MIB, uploadName: 'in parts', concurrencyLimit: 3 });
		const file = storage.bucket('box').file('in parts');
		assert.deepEqual((await file.download())[0], content);
		assert.equal((await file.getMetadata())[0].md5Hash, undefined);
		await manager.downloadFileInChunks('in parts', { chunkSizeBytes: 4 * MIB, destination: path.join(dir, 'back') });
		assert.deepEqual(fs.readFileSync(path.join(dir, 'back')), content);
	},

	async 'ranges, compressed content, a generation'() {
		const file = storage.bucket('box').file('ranges');
		await file.save('0123456789', { resumable: false });
		const { generation } = (await file.getMetadata())[0];
		assert.equal((await file.download({ start: 3, end: 5 }))[0].toString(), '345');
		await file.save('changed', { resumable: false });
		await refused(404, storage.bucket('box').file('ranges', { generation }).download());
		await file.save('text '.repeat(1000), { gzip: true, resumable: false });
		assert.equal((await file.download())[0].toString(), 'text '.repeat(1000));
		assert.ok(Number((await file.getMetadata())[0].size) < 1000);
	},

	async 'lists: pages, prefixes, from a name on'() {
		const bucket = storage.bucket('box');
		for (const name of ['list/a', 'list/b/1', 'list/b/2', 'list/c', 'list/d/']) await bucket.file(name).save('x', { resumable: false });
		const [files, , page] = await bucket.getFiles({ prefix: 'list/', delimiter: '/', autoPaginate: false });
		assert.deepEqual(files.map((f) => f.name), ['list/a', 'list/c']);
		assert.deepEqual(page.prefixes, ['list/b/', 'list/d/']);
		const pages = [];
		for (let query = { prefix: 'list/', maxResults: 2, autoPaginate: false }; query;) {
			const [some, next] = await bucket.getFiles(query);
			pages.push(some.map((f) => f.name));
			query = next;
		}
		assert.deepEqual(pages, [['list/a', 'list/b/1'], ['list/b/2', 'list/c'], ['list/d/']]);
		assert.deepEqual((await bucket.getFiles({ prefix: 'list/', startOffset: 'list/c' }))[0].map((f) => f.name), ['list/c', 'list/d/']);
	},

	async 'copies in several requests, moves, removal'() {
		const bucket = storage.bucket('box'), content = crypto.randomBytes(3 * MIB);
		await bucket.file('from').save(content, { resumable: false });
		await bucket.file('from').copy(bucket.file('to'));
		assert.deepEqual((await bucket.file('to').download())[0], content);
		await bucket.file('to').move('moved');
		assert.equal((await bucket.file('to').exists())[0], false);
		await refused(412, bucket.file('from').copy(bucket.file('moved'), { preconditionOpts: { ifGenerationMatch: 0 } }));
		await bucket.file('moved').delete();
		await refused(404, bucket.file('moved').delete());
		await refused(409, bucket.delete());
	},

	async 'signed URLs'() {
		const file = storage.bucket('box').file('signed ü');
		await file.save('0123456789', { resumable: false });
		const [url] = await file.getSignedUrl({ version: 'v4', action: 'read', expires: Date.now() + 60000 });
		const got = await fetch(url, { headers: { Range: 'bytes=2-4' } });
		assert.equal(got.status, 206);
		assert.equal(await got.text(), '234');
		assert.equal((await fetch(url.replace('X-Goog-Expires=', 'X-Goog-Expires=1'))).status, 403);
		assert.equal((await fetch(url, { method: 'PUT', body: 'x' })).status, 403);
	},

	async 'who may: a stranger, nobody, a token that has expired, a grant that was revoked'() {
		await refused(403, stranger.bucket('box').getFiles());
		const nobody = await fetch('https://storage.googleapis.com/storage/v1/b/box/o');
		assert.equal(nobody.status, 401);
		await control('publish', { bucket: 'box' });
		assert.ok((await stranger.bucket('box').getFiles())[0].length > 0);
		await refused(403, stranger.bucket('box').file('x').save('x', { resumable: false }));
		await control('tokens', { expire: true });
		await refused(401, storage.bucket('box').getFiles()); // it believes in what it was promised
		assert.ok((await client(fake.serviceAccount).bucket('box').getFiles())[0].length > 0);
		await control('tokens', { expire: true, revoked: true });
		const e = await client(fake.serviceAccount).bucket('box').getFiles().then(() => assert.fail('not refused'), (error) => error);
		assert.match(`${e.message} ${JSON.stringify(e.response?.data)}`, /invalid_grant/);
		await control('tokens', { revoked: false });
	},
};

await control('reset');
for (const [name, test] of Object.entries(tests)) {
	await test();
	console.log(`ok ${name}`);
}
