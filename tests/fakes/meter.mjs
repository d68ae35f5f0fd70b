#!/usr/bin/env node
// A relay of TCP in front of a server that counts what passes, and holds it back where it is told to: so a real server can be
// asked what was read from it just as a fake can, and a transfer be stopped in the middle of a file.
//
// Started as  node tests/fakes/meter.mjs --to PORT  it prints one line of JSON (lib.mjs): `endpoint` takes the control
// requests, `port` is the relay's.
//   GET  /-/state    {"sent":BYTES that the server has sent,"received":BYTES that it has got,"held":is something held back?}
//   POST /-/hold     {"sent":N} or {"received":N}: when so many have passed nothing more does; {}: it goes on
//   POST /-/reset    connections are cut, nothing is held back, and it counts from 0
import net from 'node:net';
import { arg, json, serve } from './lib.mjs';

let counts, limits;
const pairs = new Set(); // of sockets
function reset() {
	counts = { sent: 0, received: 0 };
	limits = {};
	for (const sockets of pairs) sockets.forEach((socket) => socket.destroy());
}
reset();

const is_held = (way) => counts[way] >= (limits[way] ?? Infinity);

function carry(from, to, way) {
	from.on('data', (piece) => {
		counts[way] += piece.length;
		if (!to.write(piece) || is_held(way)) from.pause();
	});
	to.on('drain', () => is_held(way) || from.resume());
	from.on('end', () => to.end());
	from.on('close', () => to.destroy()).on('error', () => to.destroy());
	from.way = way;
	if (is_held(way)) from.pause();
}

const relay = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
	const server = net.connect({ port: Number(arg('--to')), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
	const sockets = [client, server];
	pairs.add(sockets);
	client.on('close', () => pairs.delete(sockets));
	carry(client, server, 'received');
	carry(server, client, 'sent');
});

function hold(wanted) {
	limits = wanted;
	for (const socket of [...pairs].flat()) if (!is_held(socket.way)) socket.resume();
}

relay.listen(0, '127.0.0.1', () => serve((req, res) => json(res, 404, {}), {
	reset,
	state: () => ({ ...counts, held: is_held('sent') || is_held('received') }),
	hello: { kind: 'meter', port: relay.address().port },
	control: { '/-/hold': hold },
}));
