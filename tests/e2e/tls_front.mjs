// A platform's TLS front before the simulator, by HTTP/1.1 or HTTP/2, that fails when it is told to.
//   node tls_front.mjs PROTOCOL PORT CONTROL_PORT SIMULATOR_PORT CERTIFICATE KEY       (PROTOCOL: 1 or 2)
// POST /faults to the control port: [[AT, FAULT]...], AT: calls from now on. FAULT: "goaway" ends all connections in good
// order, "end" as soon as what was taken is answered, with calls unanswered; "refuse" refuses five streams.
// POST /certificate: {cert, key}, files for new connections. GET /counts: connections, calls, faults that were done.
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { readFileSync } from "node:fs";

const [protocol, port, controlPort, simPort, cert, key] = process.argv.slice(2);
const files = (c) => ({ cert: readFileSync(c.cert), key: readFileSync(c.key) });
const counts = { connections: 0, calls: 0, refused: 0, unanswered: 0, done: [], versions: {} };
const agent = new http.Agent({ keepAlive: true });
const sockets = new Set(), sessions = new Set();
let plan = [], underWay = 0, refusing = 0, ending = false, timer = null;

// What it names as not taken it must not take: Node 18 reads on before it is told, so it is named here what was the last.
function leave(session) {
	if (session.left || session.destroyed)
		return;
	session.left = true;
	session.last ??= 0; // one that has just come has taken nothing, nor may it take what is on its way
	session.goaway(http2.constants.NGHTTP2_NO_ERROR, session.last);
	setTimeout(() => session.close(), 50);
}

const notTaken = (stream) => stream && stream.session?.left && stream.id > stream.session.last;

const faults = {
	goaway: () => sessions.forEach(leave),
	refuse: () => { refusing = 5; },
	end: () => { ending = true; },
};

// Only what was not taken goes unanswered, so that a reply that comes twice is the worker's fault; all that was answered
// is out before the end: Node sends what a turn has written after it.
function endAll() {
	if (!ending || underWay > 0 || !counts.unanswered || timer)
		return;
	timer = setTimeout(() => {
		timer = null;
		ending = false;
		sessions.forEach((s) => { s.ended = true; });
		sockets.forEach((s) => { s.ended = true; s.end(); });
	}, 20);
}

// It was on its way when its connection ended: there is no way back.
const tooLate = (req) => (req.stream ? !req.stream.session || req.stream.session.ended : req.socket.ended);

function forward(req, res) {
	underWay++;
	const headers = { "content-type": req.headers["content-type"] || "application/json" };
	if (req.headers["content-length"])
		headers["content-length"] = req.headers["content-length"];
	const call = http.request({ port: simPort, host: "127.0.0.1", agent, method: req.method, path: req.url, headers }, (answer) => {
		res.writeHead(answer.statusCode, { "content-type": answer.headers["content-type"] });
		answer.pipe(res);
	});
	call.on("error", () => { res.writeHead(502); res.end(); });
	res.on("close", () => { underWay--; endAll(); });
	req.pipe(call);
}

function serve(req, res) {
	if (notTaken(req.stream))
		return;
	if (req.stream?.session)
		req.stream.session.last = req.stream.id;
	counts.calls++;
	counts.versions[req.httpVersion] = (counts.versions[req.httpVersion] || 0) + 1;
	for (; plan.length && !ending && counts.calls >= plan[0][0]; plan.shift()) {
		faults[plan[0][1]]();
		counts.done.push(plan[0][1]);
	}
	if (refusing > 0) {
		refusing--;
		counts.refused++;
		res.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
	} else if (ending || tooLate(req)) {
		counts.unanswered++;
		endAll();
	} else {
		forward(req, res);
	}
}

const server = protocol === "2" ? http2.createSecureServer(files({ cert, key }), serve)
	: https.createServer({ ...files({ cert, key }), keepAliveTimeout: 0 }, serve);
server.on("secureConnection", (s) => {
	counts.connections++;
	sockets.add(s);
	s.on("close", () => sockets.delete(s));
	s.on("error", () => {});
});
server.on("session", (s) => {
	sessions.add(s);
	s.on("close", () => sessions.delete(s));
	s.on("error", () => {});
});
server.listen(port, "127.0.0.1");

const control = {
	"/counts": () => counts,
	"/faults": (list) => { plan = list.map(([at, what]) => [counts.calls + at, what]); },
	"/certificate": (c) => server.setSecureContext(files(c)),
};
http.createServer(async (req, res) => {
	let body = "";
	for await (const part of req)
		body += part;
	const answer = control[req.url](body && JSON.parse(body));
	res.end(JSON.stringify(answer ?? null));
}).listen(controlPort, "127.0.0.1");
