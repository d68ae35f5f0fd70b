#!/usr/bin/env python3
"""A server that speaks S3 and misbehaves as a script says.

    tests/fakes/s3.py [SCENARIO]

Objects and multipart uploads are in memory.  It listens on a free port of 127.0.0.1, prints one line of
JSON ({"endpoint","other","pid"}) and serves until its standard input ends or it is terminated.  The other endpoint
leads to the same objects: who does not know that cannot copy from one to the other, and carries the bytes itself.

What it knows: PUT, GET (with Range and If-Match), HEAD, DELETE, DeleteObjects ("remove") and copies of objects,
ListObjectsV2 in one page, and the seven requests of multipart uploads.  A bucket exists when it is named.  Content-MD5, aws-chunked
bodies and their CRC32C trailers are read; the last are not verified.

What it does not do: signatures, TLS, versions, ACLs, paging, virtual hosts, many clients at speed.

A script is lines of

    [every|N times|after N] REQUEST[, of NAME]: ACTION

REQUEST is one of the words in KINDS, "part 3" (one of the parts), or "any"; NAME is a pattern of keys.
A rule counts once unless it says more ("every"; "2 times"; "after 2": lets two pass, then counts once).  The
first rule that matches takes the request.  Actions: see the table at the end of class Connection.

Control requests, which no rule touches and no counter counts:

    POST   /-/play          the script in the body; what was there is forgotten
    POST   /-/rules         the script in the body replaces the rules; all else stays
    GET    /-/state         {"requests":{KIND:N},"received":{KIND:BYTES},"sent":{KIND:BYTES},"objects":{KEY:
                            {"size","sha256","meta"}},"uploads":{ID:KEY},"unplayed":[RULE],"storm":{"refused":N,
                            "after":[N]}}: requests that a storm refused; that came after it, in each 100 ms
    PUT    /-/object/KEY    GET, DELETE: an object of bucket "fake"
"""
import base64
import fnmatch
import hashlib
import json
import os
import re
import select
import socket
import struct
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape, unescape

KINDS = "put get head delete remove copy list begin part copy-part status commit abort find".split()
MULTIPART_ETAG = "-%d"
CHUNK = 65536


class Gone(Exception):
    """The connection is over; there is nobody to answer."""


class Refusal(Exception):
    """An error that S3 itself would answer with."""

    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Rule:
    def __init__(self, line):
        found = re.fullmatch(
            r"(?:(every)\s+|(\d+) times\s+|after (\d+)\s+)?([\w-]+)(?: (\d+))?(?:, of (\S+))?:\s+(.+)", line)
        if found is None or found[4] not in KINDS + ["any"]:
            raise ValueError("not a rule: " + line)
        self.line = line
        self.left = float("inf") if found[1] else int(found[2] or 1)
        self.every = bool(found[1])
        self.pass_first = int(found[3] or 0)
        self.kind, self.part, self.name = found[4], int(found[5] or 0), found[6]
        self.words = found[7].split()

    def takes(self, request):
        if self.kind not in ("any", request.kind) or self.left <= 0:
            return False
        if self.part and self.part != request.part or self.name and not fnmatch.fnmatch(request.name, self.name):
            return False
        if self.pass_first > 0:
            self.pass_first -= 1
            return False
        self.left -= 1
        return True


class Object:
    def __init__(self, data, meta, etag=None):
        self.data, self.meta = data, meta
        self.etag = etag or hashlib.md5(data).hexdigest()
        self.time = time.gmtime()


class Upload:
    def __init__(self, key, meta):
        self.key, self.meta, self.parts = key, meta, {}


class World:
    def __init__(self):
        self.lock = threading.Lock()
        self.uploads_begun = 0
        self.play("")

    def play(self, script):
        with self.lock:
            self.objects, self.uploads = {}, {}
            self.requests, self.received, self.sent = {}, {}, {}
        self.set_rules(script)

    def set_rules(self, script):
        lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in script.splitlines())
        rules = [Rule(line) for line in lines if line]
        with self.lock:
            self.rules = rules
            self.storm_end, self.storm_refused, self.storm_after = None, 0, []
            self.spared = None

    def storm(self, seconds):
        """Is there one?  It begins with the first that asks."""
        with self.lock:
            now = time.monotonic()
            self.storm_end = self.storm_end or now + seconds
            if now < self.storm_end:
                self.storm_refused += 1
                return True
            slot = int((now - self.storm_end) * 10)
            self.storm_after += [0] * (slot + 1 - len(self.storm_after))
            self.storm_after[slot] += 1
            return False

    def rule_for(self, request):
        with self.lock:
            self.requests[request.kind] = self.requests.get(request.kind, 0) + 1
            return next((rule for rule in self.rules if rule.takes(request)), None)

    def count(self, into, kind, size):
        with self.lock:
            into[kind] = into.get(kind, 0) + size

    def state(self):
        with self.lock:
            objects = dict(self.objects)
            state = {
                "requests": dict(self.requests),
                "received": dict(self.received),
                "sent": dict(self.sent),
                "uploads": {name: upload.key for name, upload in self.uploads.items()},
                "unplayed": [rule.line for rule in self.rules if rule.left > 0 and not rule.every],
                "storm": {"refused": self.storm_refused, "after": list(self.storm_after)},
            }
        state["objects"] = {key: {"size": len(o.data), "sha256": hashlib.sha256(o.data).hexdigest(), "meta": o.meta}
                            for key, o in objects.items()}
        return state


world = World()


class Request:
    """The head of a request, and what it is in S3's words."""

    def __init__(self, line, headers):
        self.method, self.target, _ = line.split(" ", 2)
        self.headers = headers
        path, _, query = self.target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.bucket, _, self.key = self.path.lstrip("/").partition("/")
        self.upload, self.part = self.query.get("uploadId"), int(self.query.get("partNumber", 0))
        self.kind = self.find_kind()
        self.name = self.query.get("prefix", "") if self.kind in ("find", "list") else self.key

    def find_kind(self):
        copies = "x-amz-copy-source" in self.headers
        if self.part:
            return "copy-part" if copies else "part"
        if self.upload is not None:
            return {"GET": "status", "POST": "commit", "DELETE": "abort"}[self.method]
        if "uploads" in self.query:
            return "begin" if self.method == "POST" else "find"
        if "delete" in self.query:
            return "remove"
        if not self.key:
            return "list"
        return "copy" if copies else self.method.lower()


class Answer:
    def __init__(self, status, body=b"", headers=()):
        self.status, self.body = status, body
        self.headers = {"Content-Length": str(len(body)), **dict(headers)}


def answer_error(status, code, words="a test wanted it so", headers=()):
    xml = "<?xml version='1.0'?><Error><Code>%s</Code><Message>%s</Message></Error>" % (code, words)
    return Answer(status, xml.encode(), {"Content-Type": "application/xml", **dict(headers)})


def answer_xml(name, inner):
    return Answer(200, ("<?xml version='1.0'?><%s>%s</%s>" % (name, inner, name)).encode(),
                  {"Content-Type": "application/xml"})


def dechunk(body):
    """aws-chunked: "SIZE[;signature]", the bytes, ..., trailers."""
    out, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(out)
        out.append(body[end + 2:end + 2 + size])
        at = end + 2 + size + 2


# --- what a good server would do; called with the world locked


def object_of(request, key=None):
    found = world.objects.get(key or request.key)
    if found is None:
        raise Refusal(404, "NoSuchKey")
    return found


def upload_of(request):
    found = world.uploads.get(request.upload)
    if found is None or found.key != request.key:
        raise Refusal(404, "NoSuchUpload")
    return found


def object_headers(o):
    return {"ETag": '"%s"' % o.etag, "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", o.time), **o.meta}


def meta_of(request):
    return {name: value for name, value in request.headers.items()
            if name.startswith("x-amz-meta-") or name == "content-type"}


def copied_data(request):
    source = urllib.parse.unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("/")[2]
    found = object_of(request, source)
    if request.headers.get("x-amz-copy-source-if-match", found.etag).strip('"') != found.etag:
        raise Refusal(412, "PreconditionFailed")
    first, last = 0, len(found.data) - 1
    if "x-amz-copy-source-range" in request.headers:
        first, last = map(int, request.headers["x-amz-copy-source-range"][6:].split("-"))
    return found, found.data[first:last + 1]


def do_put(request, body):
    if request.headers.get("if-none-match") == "*" and request.key in world.objects:
        raise Refusal(412, "PreconditionFailed")
    o = world.objects[request.key] = Object(body, meta_of(request))
    return Answer(200, headers={"ETag": '"%s"' % o.etag})


def do_copy(request, _):
    found, data = copied_data(request)
    replaces = request.headers.get("x-amz-metadata-directive") == "REPLACE"
    o = world.objects[request.key] = Object(data, meta_of(request) if replaces else found.meta)
    return answer_xml("CopyObjectResult", "<ETag>&quot;%s&quot;</ETag>" % o.etag)


def do_get(request, _):
    o = object_of(request)
    if request.headers.get("if-match", o.etag).strip('"') != o.etag:
        raise Refusal(412, "PreconditionFailed")
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked is None:
        return Answer(200, o.data, object_headers(o))
    first, last = int(asked[1]), min(int(asked[2] or len(o.data)), len(o.data) - 1)
    if first > last:
        raise Refusal(416, "InvalidRange")
    return Answer(206, o.data[first:last + 1],
                  {**object_headers(o), "Content-Range": "bytes %d-%d/%d" % (first, last, len(o.data))})


def do_delete(request, _):
    world.objects.pop(request.key, None)
    return Answer(204)


def do_remove(request, body):
    if "content-md5" not in request.headers:
        raise Refusal(400, "InvalidRequest")
    keys = [unescape(key.decode(), {"&#%d;" % ord(c): c for c in "<>&\"'"}) for key in re.findall(rb"<Key>(.*?)</Key>", body)]
    spared = [key for key in keys if world.spared and fnmatch.fnmatch(key, world.spared)]
    for key in set(keys) - set(spared):
        world.objects.pop(key, None)
    return answer_xml("DeleteResult", "".join(
        "<Error><Key>%s</Key><Code>AccessDenied</Code><Message>a test wanted it so</Message></Error>" % escape(key)
        if key in spared else "<Deleted><Key>%s</Key></Deleted>" % escape(key) for key in keys))


def do_list(request, _):
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
    files, directories = [], set()
    for key, o in sorted(world.objects.items()):
        if not key.startswith(prefix):
            continue
        name, found, _ = key[len(prefix):].partition(delimiter or "\0")
        if found:
            directories.add(prefix + name + delimiter)
        else:
            files.append("<Contents><Key>%s</Key><Size>%d</Size><ETag>&quot;%s&quot;</ETag></Contents>" %
                         (urllib.parse.quote(key), len(o.data), o.etag))
    return answer_xml("ListBucketResult", "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>" +
                      "".join(files) + "".join("<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" %
                                               urllib.parse.quote(name) for name in sorted(directories)))


def do_begin(request, _):
    world.uploads_begun += 1
    name = "upload-%d" % world.uploads_begun
    world.uploads[name] = Upload(request.key, meta_of(request))
    return answer_xml("InitiateMultipartUploadResult", "<UploadId>%s</UploadId>" % name)


def do_part(request, body):
    etag = hashlib.md5(body).hexdigest()
    upload_of(request).parts[request.part] = (body, etag)
    return Answer(200, headers={"ETag": '"%s"' % etag})


def do_copy_part(request, _):
    etag = do_part(request, copied_data(request)[1]).headers["ETag"]
    return answer_xml("CopyPartResult", "<ETag>%s</ETag>" % escape(etag))


def do_status(request, _):
    marker = int(request.query.get("part-number-marker", 0))
    parts = sorted((n, part) for n, part in upload_of(request).parts.items() if n > marker)
    return answer_xml("ListPartsResult", "<IsTruncated>false</IsTruncated>" + "".join(
        "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag><Size>%d</Size></Part>" % (n, etag, len(data))
        for n, (data, etag) in parts))


def do_commit(request, body):
    upload, data, sums = upload_of(request), [], b""
    for number, etag in re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>(.*?)</ETag>", body.decode()):
        part = upload.parts.get(int(number), (b"", ""))
        if part[1] != etag.replace("&quot;", ""):
            raise Refusal(400, "InvalidPart")
        data.append(part[0])
        sums += bytes.fromhex(part[1])
    etag = hashlib.md5(sums).hexdigest() + MULTIPART_ETAG % len(data)
    world.objects[request.key] = Object(b"".join(data), upload.meta, etag)
    del world.uploads[request.upload]
    return answer_xml("CompleteMultipartUploadResult", "<ETag>&quot;%s&quot;</ETag>" % etag)


def do_abort(request, _):
    upload_of(request)
    del world.uploads[request.upload]
    return Answer(204)


def do_find(request, _):
    return answer_xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>" + "".join(
        "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>" % (escape(upload.key), name)
        for name, upload in world.uploads.items() if upload.key.startswith(request.query.get("prefix", ""))))


DO = {"put": do_put, "copy": do_copy, "get": do_get, "head": do_get, "delete": do_delete, "remove": do_remove, "list": do_list,
      "begin": do_begin, "part": do_part, "copy-part": do_copy_part, "status": do_status, "commit": do_commit,
      "abort": do_abort, "find": do_find}


def do_control(request, body):
    name = request.path[len("/-/object/"):]
    if request.path == "/-/play":
        world.play(body.decode())
    elif request.path == "/-/rules":
        world.set_rules(body.decode())
    elif request.path == "/-/state":
        return Answer(200, json.dumps(world.state()).encode())
    elif request.method == "PUT":
        world.objects[name] = Object(body, {})
    elif request.method == "DELETE":
        world.objects.pop(name, None)
    elif name in world.objects:
        return Answer(200, world.objects[name].data)
    else:
        return Answer(404)
    return Answer(200)


class Connection:
    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb")

    def serve(self):
        try:
            while self.serve_one():
                pass
        except (Gone, OSError):
            pass
        finally:
            self.file.close()
            self.sock.close()

    def serve_one(self):
        line = self.file.readline(CHUNK).decode("latin-1").rstrip("\r\n")
        if not line:
            return False
        headers = {}
        for text in iter(lambda: self.file.readline(CHUNK).decode("latin-1").rstrip("\r\n"), ""):
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        self.request = request = Request(line, headers)
        self.body_left = int(headers.get("content-length", 0))
        if request.path.startswith("/-/"):
            self.send(do_control(request, self.receive()))
            return True
        rule = world.rule_for(request)
        if rule is None:
            self.send(self.apply())
            return True
        return self.misbehave(rule.words) is not False

    # --- pieces that actions are made of

    def receive(self, size=None):
        size = self.body_left if size is None else min(size, self.body_left)
        data = self.file.read(size)
        if len(data) < size:
            raise Gone
        self.body_left -= size
        world.count(world.received, self.request.kind, size)
        return data

    def apply(self, body=None, damage=False):
        """What a good server does: the answer, or a refusal."""
        body = self.receive() if body is None else body
        if "aws-chunked" in self.request.headers.get("content-encoding", ""):
            body = dechunk(body)
        sum_given = self.request.headers.get("content-md5")
        if sum_given is not None and base64.b64encode(hashlib.md5(body).digest()).decode() != sum_given:
            return answer_error(400, "BadDigest", "the Content-MD5 is not that of the body")
        if damage and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        try:
            with world.lock:
                return DO[self.request.kind](self.request, body)
        except Refusal as refusal:
            return answer_error(refusal.status, refusal.code, "as S3 would say")

    def send_raw(self, data):
        for at in range(0, len(data), CHUNK * 4):
            self.sock.sendall(data[at:at + CHUNK * 4])
        world.count(world.sent, self.request.kind, len(data))

    def send(self, answer, only=None):
        """only: so many bytes of the body."""
        lines = ["HTTP/1.1 %d What" % answer.status]
        lines += ["%s: %s" % pair for pair in answer.headers.items() if answer.status != 204 or pair[0] != "Content-Length"]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if self.request.method != "HEAD":
            self.send_raw(answer.body if only is None else answer.body[:only])

    def reset(self):
        """The other side gets ECONNRESET, whatever it is doing."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def stall(self):
        """Until the other side gives up."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        poll.poll()
        raise Gone

    def stream(self, pieces):
        """An answer that ends when the other side has had enough."""
        self.receive()
        self.sock.sendall(b"HTTP/1.1 200 What\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            self.send_raw(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.send_raw(b"0\r\n\r\n")

    def misbehave(self, words):
        name, *rest = words
        return getattr(self, "act_" + name.replace("-", "_"))(*rest)

    # --- actions: a method each; False: the connection is closed

    def act_status(self, status, code="InternalError", *more):
        """status 503 SlowDown [retry-after N]: refused, after the body was read; also "status 200 InternalError"."""
        self.receive()
        self.send(answer_error(int(status), code, headers={"Retry-After": more[1]} if more else {}))

    def act_reset(self, size="0"):
        """reset N: after N bytes of the request's body, or (if it has none) of the answer's."""
        return self.break_after(int(size), self.reset)

    def act_stall(self, size="0"):
        """stall N: nothing more comes, and nothing more is read, after N bytes as above."""
        return self.break_after(int(size), self.stall)

    def act_close(self, size="0"):
        """close N: the same, with an orderly end of the connection."""
        return self.break_after(int(size), lambda: False)

    def break_after(self, size, end):
        if self.body_left > 0:
            self.receive(size)
        else:
            self.send(self.apply(), size)
        return end()

    def act_lose(self, how="reset"):
        """lose reset|stall|close|503: does what was asked for, and the answer is lost."""
        self.apply()
        if how.isdigit():
            self.send(answer_error(int(how), "SlowDown"))
            return True
        return {"reset": self.reset, "stall": self.stall, "close": lambda: False}[how]()

    def act_short(self, size):
        """short N: the body ends N bytes before its Content-Length, and so does the connection."""
        answer = self.apply()
        self.send(answer, max(len(answer.body) - int(size), 0))
        return False

    def act_long(self, size):
        """long N: N bytes more than the Content-Length."""
        answer = self.apply()
        answer.body += b"HTTP/1.1 200 What\r\nContent-Length: 1\r\n\r\n!"[:int(size)].ljust(int(size), b"!")
        self.send(answer)

    def act_length(self, more):
        """length +N|-N: a Content-Length that is wrong by so much, and a body that agrees with it."""
        answer = self.apply()
        answer.body = answer.body[:int(more)] if int(more) < 0 else answer.body + b"!" * int(more)
        size = int(answer.headers["Content-Length"]) + int(more)
        answer.headers["Content-Length"] = str(size)
        self.send(answer)

    def act_header(self, name, *value):
        """header NAME: VALUE: in place of the right one; without a value the header is left out."""
        answer = self.apply()
        name = name.rstrip(":")
        answer.headers.pop(name, None)
        if value:
            answer.headers[name] = " ".join(value)
        self.send(answer)

    def act_damage(self):
        """damage: the first byte of what is written, or read, is another."""
        answer = self.apply(damage=True)
        if self.request.kind == "get" and answer.body:
            answer.body = bytes([answer.body[0] ^ 1]) + answer.body[1:]
        self.send(answer)

    def act_cut(self, size):
        """cut N: the body is only its first N bytes, and the Content-Length agrees."""
        answer = self.apply()
        answer.body = answer.body[:int(size)]
        answer.headers["Content-Length"] = str(len(answer.body))
        self.send(answer)

    def act_forget(self):
        """forget: all uploads are gone; then as ever."""
        with world.lock:
            world.uploads = {}
        self.send(self.apply())

    def act_change(self, name=None):
        """change [KEY]: an object (the one that is asked for) becomes another; then as ever."""
        with world.lock:
            key = name or self.request.key
            if key in world.objects:
                o = world.objects[key]
                world.objects[key] = Object(bytes(byte ^ 1 for byte in o.data[:64]) + o.data[64:], o.meta)
        self.send(self.apply())

    def act_delete(self, name):
        """delete KEY: an object goes away; then as ever."""
        with world.lock:
            world.objects.pop(name, None)
        self.send(self.apply())

    def act_spare(self, name):
        """spare KEYS: each "remove" from now on refuses these, and lets them be."""
        with world.lock:
            world.spared = name
        self.send(self.apply())

    def act_xml(self, what):
        """xml bomb|deep|name|text|endless: XML that is meant to exhaust who reads it."""
        mib = b"a" * (1 << 20)
        if what == "bomb":
            lines = ["<!ENTITY a0 '%s'>" % ("a" * 1000)]
            lines += ["<!ENTITY a%d '%s'>" % (n, "&a%d;" % (n - 1) * 100) for n in range(1, 10)]
            text = "<?xml version='1.0'?><!DOCTYPE Error [%s]><Error><Code>&a9;</Code></Error>" % "".join(lines)
            return self.stream([text.encode()])
        if what == "deep":
            return self.stream([b"<a>" * (1 << 18)] * 4)
        if what == "name":
            return self.stream([b"<"] + [mib] * 1024 + [b"/>"])
        if what == "text":
            return self.stream([b"<Error><Message>"] + [mib] * 1024 + [b"</Message></Error>"])
        return self.stream(iter(lambda: b"<Error></Error>" * 4096, None))

    def act_headers(self):
        """headers: one after the other, without end."""
        self.receive()
        self.sock.sendall(b"HTTP/1.1 200 What\r\n")
        while True:
            self.send_raw(b"X-More: and more\r\n" * 256)

    def act_redirect(self, status="307"):
        """redirect [STATUS]: to where the request came."""
        self.receive()
        self.send(answer_error(int(status), "TemporaryRedirect", headers={"Location": self.request.target}))

    def act_storm(self, seconds, latency="0"):
        """storm SECONDS [LATENCY]: 503 SlowDown for so long, then as ever; each answer takes LATENCY seconds."""
        refused = world.storm(float(seconds))
        body = self.receive()
        time.sleep(float(latency))
        self.send(answer_error(503, "SlowDown") if refused else self.apply(body))

    def act_keys(self, good, code="InvalidAccessKeyId"):
        """keys GOOD [CODE]: 403 CODE to whoever does not sign with the access key GOOD."""
        if "Credential=%s/" % good in self.request.headers.get("authorization", ""):
            self.send(self.apply())
        else:
            self.receive()
            self.send(answer_error(403, code))

    def act_babble(self):
        """babble: no HTTP at all."""
        self.receive()
        self.sock.sendall(b"220 fake FTP server ready\r\n" * 3)
        return False


def main():
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as script:
            world.play(script.read())
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=256) for _ in range(2)]
    endpoints = ["http://127.0.0.1:%d" % listener.getsockname()[1] for listener in listeners]
    print(json.dumps({"endpoint": endpoints[0], "other": endpoints[1], "pid": os.getpid()}), flush=True)

    def accept(listener):
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Connection(sock).serve, daemon=True).start()

    for listener in listeners:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
    while os.read(0, CHUNK):
        pass


if __name__ == "__main__":
    main()
