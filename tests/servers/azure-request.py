#!/usr/bin/env python3
"""One request to Azure Blob Storage, authorized by Shared Key: what a test does as somebody else.

    azure-request.py SERVER METHOD PATH[?QUERY] [NAME:VALUE...] [<BODY]

SERVER is the line of JSON that start-azurite.sh printed; PATH begins with the container and is percent-encoded,
like the query's values; each NAME:VALUE is a header.  Prints the answer's body; fails on a status from 300 on.
"""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import sys
import urllib.parse


def main():
    server, method, target = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
    path, _, query = target.partition("?")
    endpoint = urllib.parse.urlsplit(server["endpoint"])
    path = f"{endpoint.path}/{path}"
    body = sys.stdin.buffer.read() if method == "PUT" else b""
    headers = dict(word.split(":", 1) for word in sys.argv[4:])
    now = datetime.datetime.now(datetime.timezone.utc)
    headers |= {"x-ms-version": "2021-12-02", "x-ms-date": now.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    lines = [method, "", "", str(len(body) or "")] + [""] * 8
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
    lines += [f"/{server['account']}{path}"]
    lines += [f"{name}:{value}" for name, value in sorted(urllib.parse.parse_qsl(query))]
    signature = hmac.digest(base64.b64decode(server["key"]), "\n".join(lines).encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {server['account']}:{base64.b64encode(signature).decode()}"
    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=30)
    connection.request(method, path + ("?" + query if query else ""), body, headers)
    answer = connection.getresponse()
    sys.stdout.buffer.write(answer.read())
    return 0 if answer.status < 300 else 1


sys.exit(main())
