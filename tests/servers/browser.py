#!/usr/bin/env python3
"""browser.py [--stop] URL: what a person does in a browser to sign in: opens the page, fills in and submits each form until
there is none, and follows to where that leads.  Prints the last page's text; with --stop, the address of the first page
that is not of the site where it began, which is not opened.  Loopback only."""
import html
import http.cookiejar
import re
import sys
import urllib.parse
import urllib.request


class Elsewhere(Exception):
    pass


def main():
    stop = sys.argv[1] == "--stop"
    url = sys.argv[-1]
    home = urllib.parse.urlsplit(url).netloc
    if not home.startswith("127.0.0.1:"):
        sys.exit("loopback only")

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req, fp, code, msg, headers, newurl):
            if stop and urllib.parse.urlsplit(newurl).netloc != home:
                raise Elsewhere(newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(secure_protocols=("https", "http")))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies), Redirects)
    opener.addheaders = [("Accept", "text/html")]

    def visit(url, data=None):
        try:
            return opener.open(url, data, timeout=30)
        except urllib.error.HTTPError as e:
            return e

    page = visit(url)
    for _ in range(10):
        text = page.read().decode()
        form = re.search(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', text, re.S)
        if not form:
            break
        data = {}
        for field in re.findall(r"<input[^>]*>", form.group(2)):
            name = re.search(r'name="([^"]*)"', field)
            value = re.search(r'value="([^"]*)"', field)
            if name:
                data[name.group(1)] = html.unescape(value.group(1)) if value else "somebody"
        page = visit(urllib.parse.urljoin(page.geturl(), html.unescape(form.group(1))),
                     urllib.parse.urlencode(data).encode())
    print(re.sub(r"\s+", " ", re.sub(r"<(style|head).*?</\1>|<[^>]+>", " ", text, flags=re.S)).strip()[:500])


try:
    main()
except Elsewhere as e:
    print(e)
