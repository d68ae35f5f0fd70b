#include "providers/gcs_sign.h"
#include "providers/sigv4.h"
#include "src/hash.h"
#include "src/http.h"
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define GCS_SIGNATURE_MAX 1024 /* bytes: of an RSA key of 8,192 bits */

/* RSA with SHA-256 (PKCS #1 v1.5), in hex. */
static bool
put_signature(struct buf *out, const char *pem, const struct buf *text)
{
	unsigned char signature[GCS_SIGNATURE_MAX];
	size_t len = sizeof signature;
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key != NULL && ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text->data, text->len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return good && buf_put_hex(out, signature, len);
}

/* Names in their order as bytes, as the signature wants them. */
static void
put_query(struct buf *out, const struct gcs_account *gcs, const char *scope, const char *when,
    const char *version, unsigned expires_s)
{
	buf_puts(out, "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=");
	buf_put_uri(out, gcs->oauth.service, NULL);
	buf_puts(out, "%2F");
	buf_put_uri(out, scope, NULL);
	buf_printf(
	    out, "&X-Goog-Date=%s&X-Goog-Expires=%u&X-Goog-SignedHeaders=host", when, expires_s);
	if (version != NULL) {
		buf_puts(out, "&generation=");
		buf_put_uri(out, version, NULL);
	}
}

int
gcs_sign(struct buf *out, const struct gcs_account *gcs, const char *path, const char *version,
    uint64_t now_ms, unsigned expires_s, struct err *err)
{
	CLEANUP(buf_free) struct buf where = BUF_INIT(HTTP_URL_MAX);
	CLEANUP(buf_free) struct buf query = BUF_INIT(HTTP_URL_MAX);
	CLEANUP(buf_free) struct buf text = BUF_INIT(3 * HTTP_URL_MAX);
	CLEANUP(cleanup_free) char *scope = NULL;
	struct gcs_place place;
	unsigned char sum[32];
	char when[17];

	if (gcs->oauth.key == NULL)
		return err_set(err, -EOPNOTSUPP,
		    "'%s': only a service account has a key to sign links with", path);
	if (!gcs_locate(&place, gcs, path) || *place.key == '\0')
		return err_set(err, -EISDIR, "'%s' is no file", path);
	if (expires_s == 0 || expires_s > GCS_SIGN_MAX)
		return err_set(err, -EINVAL, "a link lives for 1 second to 7 days");
	sigv4_time(when, sizeof when, now_ms);
	scope = xasprintf("%.8s/auto/storage/goog4_request", when);
	buf_printf(&where, "%s/%s/", gcs->endpoint.base, place.bucket);
	buf_put_uri(&where, place.key, "/");
	put_query(&query, gcs, scope, when, version, expires_s);
	buf_printf(&text, "GET\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", buf_str(&where),
	    buf_str(&query), gcs->endpoint.host);
	sha256(sum, buf_str(&text), text.len);
	buf_reset(&text);
	buf_printf(&text, "GOOG4-RSA-SHA256\n%s\n%s\n", when, scope);
	buf_put_hex(&text, sum, sizeof sum);
	buf_printf(out, "%s%s%s?%s&X-Goog-Signature=", gcs->endpoint.scheme, gcs->endpoint.host,
	    buf_str(&where), buf_str(&query));
	if (!put_signature(out, gcs->oauth.key, &text))
		return err_set(err, -EINVAL, "'%s': no link could be signed", path);
	if (where.failed || query.failed || out->failed)
		return err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", path);
	return 0;
}
