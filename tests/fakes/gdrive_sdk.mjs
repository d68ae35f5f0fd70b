// The official SDK (@googleapis/drive, from SKYFERRY_TEST_SDK) against www.googleapis.com, which as-cloud.sh makes the fake:
// what the fake is strict about is what the SDK does.  Ends with status 0, or says what was wrong.
import assert from 'node:assert';
import crypto from 'node:crypto';
import { Readable } from 'node:stream';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.SKYFERRY_TEST_SDK}/package.json`);
const { drive: connect, auth } = require('@googleapis/drive');
const fake = JSON.parse(process.env.FAKE);
const oauth = new auth.OAuth2({ clientId: fake.clientId, clientSecret: fake.clientSecret, forceRefreshOnFailure: true });
oauth.setCredentials({ refresh_token: fake.refreshToken });
const drive = connect({ version: 'v3', auth: oauth });
const control = (name) => fetch(`${process.env.FAKE_URL}/-/${name}`, { method: 'POST' });
const fails = async (status, reason, promise) => {
	const e = await promise.then(() => assert.fail(`not refused: ${reason}`), (why) => why);
	assert.equal(Number(e.status ?? e.code), status, e.message);
	if (reason) assert.equal(e.response.data.error.errors[0].reason, reason);
};

// folders, ids beforehand, a small upload, names that need quoting
const top = (await drive.files.create({ requestBody: { name: 'proof', mimeType: 'application/vnd.google-apps.folder' } })).data.id;
const [id, other] = (await drive.files.generateIds({ count: 2 })).data.ids;
const small = await drive.files.create({
	requestBody: { id, name: "it's \\ small", parents: [top], modifiedTime: '2001-02-03T04:05:06.789Z', appProperties: { a: 'b' } },
	media: { mimeType: 'text/plain', body: Readable.from(['hello world']) }, fields: 'id,size,md5Checksum,modifiedTime,mimeType,headRevisionId,appProperties',
});
assert.equal(small.data.id, id);
assert.equal(small.data.size, '11');
assert.equal(small.data.mimeType, 'text/plain');
assert.equal(small.data.modifiedTime, '2001-02-03T04:05:06.789Z');
assert.equal(small.data.md5Checksum, crypto.createHash('md5').update('hello world').digest('hex'));
assert.deepEqual(small.data.appProperties, { a: 'b' });
await fails(409, 'fileIdInUse', drive.files.create({ requestBody: { id, name: 'twin', parents: [top] } }));
const found = await drive.files.list({ q: `'${top}' in parents and name = 'it\\'s \\\\ small' and trashed = false`, fields: 'files(id,name)' });
assert.deepEqual(found.data.files, [{ id, name: "it's \\ small" }]);

// pages
for (let i = 0; i < 5; i++) await drive.files.create({ requestBody: { name: `empty ${i}`, parents: [top], mimeType: 'text/plain' } });
const names = [];
for (let pageToken; ;) {
	const { data } = await drive.files.list({ q: `'${top}' in parents`, pageSize: 2, pageToken, fields: 'nextPageToken,files(name)' });
	assert.ok(data.files.length <= 2);
	names.push(...data.files.map((f) => f.name));
	if (!(pageToken = data.nextPageToken)) break;
}
assert.equal(names.length, 6);
await fails(400, 'invalid', drive.files.list({ pageSize: 1001 }));

// ranges, and what is pinned to a revision
const first = small.data.headRevisionId;
const part = await drive.files.get({ fileId: id, alt: 'media' }, { headers: { Range: 'bytes=6-10' }, responseType: 'text' });
assert.equal(part.status, 206);
assert.equal(part.data, 'world');
const changed = await drive.files.update({ fileId: id, media: { mimeType: 'text/plain', body: Readable.from(['changed']) }, fields: 'id,headRevisionId,size' });
assert.equal(changed.data.id, id);
assert.notEqual(changed.data.headRevisionId, first);
assert.equal((await drive.revisions.get({ fileId: id, revisionId: first, alt: 'media' }, { responseType: 'text' })).data, 'hello world');
await fails(416, undefined, drive.files.get({ fileId: id, alt: 'media' }, { headers: { Range: 'bytes=100-' }, responseType: 'text' }));

// an upload in chunks: the session's rules, a look at it, its end
const content = crypto.randomBytes(600000), chunk = 262144;
const begun = await oauth.request({
	url: 'https://www.googleapis.com/upload/drive/v3/files?uploadType=resumable&fields=id,size,sha256Checksum', method: 'POST',
	headers: { 'X-Upload-Content-Length': '600000', 'X-Upload-Content-Type': 'application/x-test' }, data: { id: other, name: 'large', parents: [top] },
});
const session = new Headers(begun.headers).get('location') ?? begun.headers.location;
const put = (from, to, bytes) => fetch(session, { method: 'PUT', headers: { 'Content-Range': bytes ? `bytes ${from}-${to - 1}/600000` : 'bytes */600000' }, body: bytes ?? '' });
const held = async (answer) => { assert.equal(answer.status, 308, await answer.text()); return answer.headers.get('range'); };
assert.equal(await held(await put(0, 0)), null);
assert.equal(await held(await put(0, chunk, content.subarray(0, chunk))), `bytes=0-${chunk - 1}`);
assert.equal((await put(chunk, chunk + 1000, content.subarray(chunk, chunk + 1000))).status, 400);
assert.equal((await put(0, chunk, content.subarray(0, chunk))).status, 400);
assert.equal(await held(await put(0, 0)), `bytes=0-${chunk - 1}`);
const made = await (await put(chunk, 600000, content.subarray(chunk))).json();
assert.equal(made.id, other, JSON.stringify(made));
assert.equal(made.sha256Checksum, crypto.createHash('sha256').update(content).digest('hex'));
assert.equal((await (await put(0, 0)).json()).id, other); // the answer that was lost can be asked for

// copies, moves, removal
const copied = await drive.files.copy({ fileId: other, requestBody: { name: 'copied', parents: [top] }, fields: 'id,size,sha256Checksum' });
assert.equal(copied.data.sha256Checksum, made.sha256Checksum);
const dir = (await drive.files.create({ requestBody: { name: 'dir', parents: [top], mimeType: 'application/vnd.google-apps.folder' } })).data.id;
const moved = await drive.files.update({ fileId: copied.data.id, addParents: dir, removeParents: top, requestBody: { name: 'moved' }, fields: 'name,parents' });
assert.deepEqual(moved.data, { name: 'moved', parents: [dir] });
await drive.files.update({ fileId: dir, requestBody: { trashed: true } });
const inTrash = await drive.files.get({ fileId: copied.data.id, fields: 'trashed,explicitlyTrashed' });
assert.deepEqual(inTrash.data, { trashed: true, explicitlyTrashed: false });
assert.equal((await drive.files.list({ q: `'${top}' in parents and trashed = false and name = 'dir'` })).data.files.length, 0);
await drive.files.delete({ fileId: other });
await fails(404, 'notFound', drive.files.get({ fileId: other }));

// Docs, shared drives, changes, quota
const doc = (await drive.files.create({ requestBody: { name: 'doc', parents: [top], mimeType: 'application/vnd.google-apps.document' }, fields: 'id,size' })).data;
assert.equal(doc.size, '1024');
await fails(403, 'fileNotDownloadable', drive.files.get({ fileId: doc.id, alt: 'media' }));
assert.match(String((await drive.files.export({ fileId: doc.id, mimeType: 'application/pdf' }, { responseType: 'text' })).data), /pdf/);
await fails(400, 'badRequest', drive.files.export({ fileId: doc.id, mimeType: 'image/png' }));
await fails(403, 'fileNotExportable', drive.files.export({ fileId: dir, mimeType: 'application/pdf' }));
await fails(400, 'invalid', drive.files.copy({ fileId: doc.id, requestBody: { id: (await drive.files.generateIds({ count: 1 })).data.ids[0] } }));
const token = (await drive.changes.getStartPageToken()).data.startPageToken;
const team = (await drive.drives.create({ requestId: 'one', requestBody: { name: 'team' } })).data.id;
const inner = (await drive.files.create({ supportsAllDrives: true, requestBody: { name: 'inner', parents: [team], mimeType: 'text/plain' } })).data.id;
await fails(404, 'notFound', drive.files.get({ fileId: inner }));
assert.equal((await drive.files.list({ corpora: 'drive', driveId: team, includeItemsFromAllDrives: true, supportsAllDrives: true })).data.files.length, 1);
const ids = async (params) => (await drive.changes.list(params)).data.changes.map((c) => c.fileId);
assert.deepEqual(await ids({ pageToken: token }), []); // of My Drive
assert.deepEqual(await ids({ pageToken: token, includeItemsFromAllDrives: true, supportsAllDrives: true }), [inner]);
assert.deepEqual(await ids({ pageToken: token, driveId: team, includeItemsFromAllDrives: true, supportsAllDrives: true }), [inner]);
const mine = (await drive.changes.getStartPageToken({ driveId: team, supportsAllDrives: true })).data.startPageToken;
for (const name of ['c1', 'c2', 'c1 again']) {
	const there = (await drive.files.list({ q: `'${top}' in parents and name = 'c1'` })).data.files[0];
	if (name === 'c1 again') await drive.files.update({ fileId: there.id, requestBody: { name } });
	else await drive.files.create({ requestBody: { name, parents: [top] }, media: { body: name } });
}
const page = (await drive.changes.list({ pageToken: mine, pageSize: 1, fields: '*' })).data;
assert.equal(page.changes[0].file.name, 'c2');
assert.equal(page.newStartPageToken, undefined);
const rest = (await drive.changes.list({ pageToken: page.nextPageToken, fields: '*' })).data;
assert.deepEqual(rest.changes.map((c) => [c.removed, c.file.name, c.file.parents]), [[false, 'c1 again', [top]]]);
await drive.files.delete({ fileId: rest.changes[0].fileId });
const gone = (await drive.changes.list({ pageToken: rest.newStartPageToken, fields: '*' })).data.changes;
assert.deepEqual(gone.map((c) => [c.removed, c.fileId, c.file]), [[true, rest.changes[0].fileId, undefined]]);
await fails(400, 'invalid', drive.changes.list({ pageToken: '99999' }));
assert.ok(Number((await drive.about.get({ fields: 'storageQuota' })).data.storageQuota.limit) > 0);
await fails(400, 'required', drive.about.get({}));

// a token that has expired is got anew by the SDK; a grant that was revoked is told
await control('expire');
assert.equal((await drive.files.get({ fileId: top })).data.id, top);
await control('revoke');
const refused = await drive.files.get({ fileId: top }).then(() => assert.fail('not refused'), (e) => e);
assert.equal(refused.response.data.error, 'invalid_grant');
