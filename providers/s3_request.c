#include "providers/s3_request.h"
#include "providers/sigv4.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct cloud_field s3_fields[] = {
    {
	.name = "endpoint",
	.title = "Endpoint",
	.help = "URL of the service; default: Amazon's for the region "
		"(https://s3.REGION.amazonaws.com)",
    },
    {
	.name = "region",
	.title = "Region",
	.help = "Region of the buckets, as the service names it",
	.value = "us-east-1",
    },
    {
	.name = "bucket",
	.title = "Bucket",
	.help = "Only this bucket; without it the top level lists all buckets",
    },
    {
	.name = "accessKeyId",
	.title = "Access key id",
	.help = "Leave both keys out for anonymous access to public buckets",
    },
    {
	.name = "secretAccessKey",
	.title = "Secret access key",
	.help = "Secret that belongs to the access key id",
	.secret = true,
    },
    {
	.name = "sessionToken",
	.title = "Session token",
	.help = "Only with temporary keys",
	.secret = true,
    },
    {
	.name = "style",
	.title = "Addressing",
	.help =
	    "\"virtual\": bucket.host, \"path\": host/bucket, \"auto\": virtual at Amazon, path "
	    "elsewhere",
	.value = "auto",
    },
    {
	.name = "ca",
	.title = "Certificate authority",
	.help = "Absolute path of a PEM file to verify the service with, in place of the system's",
    },
    {.name = NULL},
};

/* A value, or the field's default; NULL if neither is there.  "" counts as not there. */
static const char *
s3_field(const json_t *credentials, const char *name)
{
	const char *value = json_string_value(json_object_get(credentials, name));

	for (const struct cloud_field *field = s3_fields; field->name != NULL; field++) {
		if ((value == NULL || *value == '\0') && strcmp(field->name, name) == 0)
			return field->value;
	}
	return value;
}

/* Printable ASCII without blanks: what may stand in a URL or a header. */
static bool
is_token(const char *text)
{
	for (; *text != '\0'; text++) {
		if (!isgraph((unsigned char)*text))
			return false;
	}
	return true;
}

/*
 * All of Amazon's endpoints lead to the same buckets ("S3 User Guide": a bucket's name is unique in
 * its partition), and so do the names of this machine.  Neither the scheme nor its port tells
 * services apart.
 */
static char *
s3_service(const char *host, const char *base)
{
	static const char *const amazon[] = {".amazonaws.com", ".amazonaws.com.cn"};
	static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
	CLEANUP(cleanup_free) char *name = xstrdup(host);
	const char *port = "", *found = name;
	size_t i, len, tail;
	char *at;

	for (at = name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	at = strrchr(name, ':');
	if (at != NULL && strchr(at, ']') == NULL) {
		if (strcmp(at, ":80") != 0 && strcmp(at, ":443") != 0)
			port = host + (at - name);
		*at = '\0';
	}
	len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		name[--len] = '\0';
	for (i = 0; i < ARRAY_LEN(amazon); i++) {
		tail = strlen(amazon[i]);
		if (len > tail && strcmp(name + len - tail, amazon[i]) == 0)
			found = amazon[i] + 1;
	}
	for (i = 0; i < ARRAY_LEN(loopback); i++) {
		if (strcmp(name, loopback[i]) == 0)
			found = loopback[0];
	}
	return xasprintf("%s%s%s", found, port, base);
}

static int
s3_open_endpoint(struct s3_account *s3, const char *endpoint, struct err *err)
{
	CLEANUP(cleanup_free) char *amazon = NULL;
	const char *scheme, *host, *port;
	size_t len;

	if (endpoint == NULL)
		endpoint = amazon = xasprintf("https://s3.%s.amazonaws.com", s3->region);
	if (strncasecmp(endpoint, "https://", 8) == 0)
		scheme = "https://";
	else if (strncasecmp(endpoint, "http://", 7) == 0)
		scheme = "http://";
	else
		return err_set(err, -EINVAL,
		    "endpoint: '%s' does not begin with https:// or http://", endpoint);
	host = endpoint + strlen(scheme);
	len = strcspn(host, "/");
	if (len == 0 || !is_token(host) || strpbrk(host, "@?#\\\"<>") != NULL)
		return err_set(err, -EINVAL,
		    "endpoint: only scheme, host, port and path are possible, without user, "
		    "password or query");
	/* The default port is not part of the Host header, and so not of the signature. */
	port = strcmp(scheme, "https://") == 0 ? ":443" : ":80";
	s3->scheme = xstrdup(scheme);
	s3->base = xstrdup(host + len);
	if (len > strlen(port) && strncmp(host + len - strlen(port), port, strlen(port)) == 0)
		len -= strlen(port);
	s3->host = xstrndup(host, len);
	for (len = strlen(s3->base); len > 0 && s3->base[len - 1] == '/'; len--)
		s3->base[len - 1] = '\0';
	s3->service = s3_service(s3->host, s3->base);
	return 0;
}

static bool
bucket_is_valid(const char *name, size_t len)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";

	/* 3 to 63 of lower case today; old buckets of us-east-1 may have more (S3 User Guide,
	   "Bucket naming rules"). */
	return len >= 3 && len <= S3_BUCKET_MAX && name[0] != '.' && strspn(name, allowed) >= len;
}

static int
s3_open_keys(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	const char *id = s3_field(credentials, "accessKeyId");
	const char *secret = s3_field(credentials, "secretAccessKey");
	const char *token = s3_field(credentials, "sessionToken");

	if ((id == NULL) != (secret == NULL))
		return err_set(err, -EINVAL, "%s: missing; give both keys, or neither",
		    id == NULL ? "accessKeyId" : "secretAccessKey");
	if (token != NULL && id == NULL)
		return err_set(err, -EINVAL, "sessionToken: it needs the keys it came with");
	if (id != NULL && (!is_token(id) || strpbrk(id, "/,") != NULL))
		return err_set(err, -EINVAL, "accessKeyId: it has characters that no key id has");
	if (secret != NULL && !is_token(secret))
		return err_set(
		    err, -EINVAL, "secretAccessKey: it has blanks or control characters in it");
	if (token != NULL && !is_token(token))
		return err_set(
		    err, -EINVAL, "sessionToken: it has blanks or control characters in it");
	s3->id = xstrdup_null(id);
	s3->secret = xstrdup_null(secret);
	s3->token = xstrdup_null(token);
	return 0;
}

static int
s3_open_fields(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	const char *bucket = s3_field(credentials, "bucket");
	const char *style = s3_field(credentials, "style");
	const char *ca = s3_field(credentials, "ca");
	int code;

	s3->region = xstrdup(s3_field(credentials, "region"));
	if (!is_token(s3->region) || strpbrk(s3->region, "/,@?#") != NULL)
		return err_set(err, -EINVAL, "region: '%s' is no region's name", s3->region);
	code = s3_open_endpoint(s3, s3_field(credentials, "endpoint"), err);
	if (code != 0)
		return code;
	if (bucket != NULL && !bucket_is_valid(bucket, strlen(bucket)))
		return err_set(err, -EINVAL, "bucket: '%s' cannot be a bucket's name", bucket);
	s3->bucket = xstrdup_null(bucket);
	if (strcmp(style, "auto") == 0)
		s3->style = S3_STYLE_AUTO;
	else if (strcmp(style, "path") == 0)
		s3->style = S3_STYLE_PATH;
	else if (strcmp(style, "virtual") == 0)
		s3->style = S3_STYLE_VIRTUAL;
	else
		return err_set(
		    err, -EINVAL, "style: '%s' is none of \"auto\", \"path\", \"virtual\"", style);
	if (ca != NULL && *ca != '/')
		return err_set(err, -EINVAL, "ca: '%s' is not an absolute path", ca);
	s3->ca = xstrdup_null(ca);
	return s3_open_keys(s3, credentials, err);
}

int
s3_open(struct account *account, const json_t *credentials, struct err *err)
{
	int code = s3_open_fields(account->data, credentials, err);

	if (code != 0)
		s3_close(account); /* an account that was not opened is not closed */
	return code;
}

void
s3_close(struct account *account)
{
	struct s3_account *s3 = account->data;

	free(s3->scheme);
	free(s3->host);
	free(s3->base);
	free(s3->service);
	free(s3->region);
	free(s3->bucket);
	free(s3->id);
	mem_wipe_free(s3->secret);
	mem_wipe_free(s3->token);
	free(s3->ca);
	*s3 = (struct s3_account){.scheme = NULL};
}

bool
s3_locate(struct s3_place *out, const struct s3_account *s3, const char *path)
{
	size_t len;

	if (s3->bucket != NULL) {
		snprintf(out->bucket, sizeof out->bucket, "%s", s3->bucket);
		out->key = path;
		return true;
	}
	len = strcspn(path, "/");
	if (len > 0 && !bucket_is_valid(path, len))
		return false;
	memcpy(out->bucket, path, len);
	out->bucket[len] = '\0';
	out->key = path[len] == '/' ? path + len + 1 : path + len;
	return true;
}

static bool
s3_is_virtual(const struct s3_account *s3, const char *bucket)
{
	if (*bucket == '\0')
		return false;
	if (s3->style != S3_STYLE_AUTO)
		return s3->style == S3_STYLE_VIRTUAL;
	/* A wildcard certificate covers one label: a dot in the bucket's name breaks TLS. */
	return strstr(s3->host, ".amazonaws.com") != NULL && strpbrk(bucket, "._") == NULL;
}

/* The hash of what will be sent; a streamed body is not known yet. */
static const char *
s3_payload(char hex[65], const struct http_request *req)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	unsigned char digest[32];

	if (req->body == HTTP_BODY_STREAM)
		return SIGV4_UNSIGNED;
	if (req->body == HTTP_BODY_NONE || req->bytes.len == 0)
		return SIGV4_EMPTY;
	sha256(digest, req->bytes.data, req->bytes.len);
	buf_put_hex(&text, digest, sizeof digest);
	snprintf(hex, 65, "%s", buf_str(&text));
	return hex;
}

static int
s3_sign(struct http_request *req, const struct s3_account *s3, const char *path, const char *query,
    uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(HTTP_HEADERS_MAX);
	char hex[65], when[17];
	const char *payload = s3_payload(hex, req);
	const struct sigv4_request signed_part = {
	    .method = req->method,
	    .path = path,
	    .query = query,
	    .headers = &req->headers,
	    .payload = payload,
	};
	const struct sigv4_keys keys = {s3->id, s3->secret};

	if (s3->id == NULL)
		return 0;
	http_request_header(req, "x-amz-content-sha256", "%s", payload);
	http_request_header(req, "x-amz-date", "%s", sigv4_time(when, sizeof when, now_ms));
	if (s3->token != NULL)
		http_request_header(req, "x-amz-security-token", "%s", s3->token);
	if (!sigv4_authorization(&value, &signed_part, &keys, s3->region, "s3", now_ms))
		return err_set(err, -E2BIG, "the request is too large to be signed");
	http_request_header(req, "Authorization", "%s", buf_str(&value));
	return 0;
}

int
s3_finish(struct http_request *req, const struct s3_account *s3, const struct s3_place *place,
    const char *suffix, const char *query, uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(HTTP_URL_MAX);
	CLEANUP(cleanup_free) char *host = NULL;
	bool is_virtual = s3_is_virtual(s3, place->bucket);

	host = is_virtual ? xasprintf("%s.%s", place->bucket, s3->host) : xstrdup(s3->host);
	buf_printf(&path, "%s/", s3->base);
	if (!is_virtual && *place->bucket != '\0') {
		buf_puts(&path, place->bucket);
		if (*place->key != '\0')
			buf_putc(&path, '/');
	}
	buf_put_uri(&path, place->key, "/");
	buf_puts(&path, suffix);
	buf_printf(&req->url, "%s%s%s%s%s", s3->scheme, host, buf_str(&path),
	    *query == '\0' ? "" : "?", query);
	if (path.failed || req->url.failed)
		return err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", place->key);
	req->ca_file = s3->ca;
	http_request_header(req, "Host", "%s", host);
	return s3_sign(req, s3, buf_str(&path), query, now_ms, err);
}
