#include "daemon/upload_seal.h"
#include <stdlib.h>
#include <string.h>

/* No cloud's ids have blanks. */
#define SEALED   "sealed "
#define TEXT_MAX 8192

static int
seal_text(char **secret, const struct seal_key *key, const char *aad, struct err *err)
{
	CLEANUP(buf_free) struct buf sealed = BUF_INIT(TEXT_MAX);
	struct buf text = BUF_INIT(2 * TEXT_MAX);
	int code;

	if (*secret == NULL)
		return 0;
	code = seal(&sealed, key, aad, *secret, strlen(*secret), err);
	if (code != 0)
		return code;
	buf_puts(&text, SEALED);
	buf_put_base64(&text, sealed.data, sealed.len);
	mem_wipe_free(*secret);
	*secret = buf_take(&text);
	return 0;
}

static int
unseal_text(char **secret, const struct seal_key *key, const char *aad, struct err *err)
{
	struct buf clear = BUF_INIT(TEXT_MAX);
	unsigned char sealed[TEXT_MAX];
	int code, len;

	if (*secret == NULL || strncmp(*secret, SEALED, strlen(SEALED)) != 0)
		return 0;
	len = base64_decode(sealed, sizeof sealed, *secret + strlen(SEALED));
	if (len < 0)
		return err_set(err, -EBADMSG, "the upload's id is damaged");
	code = unseal(&clear, key, aad, sealed, (size_t)len, err);
	if (code == 0) {
		free(*secret);
		*secret = buf_take(&clear);
	}
	buf_free(&clear);
	return code;
}

int
upload_seal(struct checkpoint *c, const struct seal_key *key, const char *aad, struct err *err)
{
	int code = seal_text(&c->upload, key, aad, err);

	return code != 0 ? code : seal_text(&c->resume, key, aad, err);
}

int
upload_unseal(struct checkpoint *c, const struct seal_key *key, const char *aad, struct err *err)
{
	int code = unseal_text(&c->upload, key, aad, err);

	return code != 0 ? code : unseal_text(&c->resume, key, aad, err);
}
