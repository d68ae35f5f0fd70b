#include "providers/xml.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

struct seen {
	struct buf text;
	unsigned stop_after; /* 0: never */
	unsigned elements;
};

static int
see(void *arg, const char *path, const char *text, struct err *err)
{
	struct seen *seen = arg;

	buf_printf(&seen->text, "%s=%s\n", path, text);
	if (++seen->elements == seen->stop_after)
		return err_set(err, -ECANCELED, "enough");
	return 0;
}

static int
walk(struct seen *seen, const char *document, struct err *err)
{
	buf_reset(&seen->text);
	seen->elements = 0;
	err_clear(err);
	return xml_walk(document, strlen(document), see, seen, err);
}

static int
setup(void **state)
{
	struct seen *seen = xcalloc(1, sizeof *seen);

	seen->text.max = 1 << 20;
	*state = seen;
	return 0;
}

static int
teardown(void **state)
{
	struct seen *seen = *state;

	buf_free(&seen->text);
	free(seen);
	return 0;
}

static void
test_walk(void **state)
{
	struct seen *seen = *state;
	struct err err;

	assert_int_equal(walk(seen,
			     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			     "<a xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
			     " <b x=\"1\">one &amp; &lt;two&gt; &#x41;</b>\n"
			     " <n:b xmlns:n=\"urn:n\"><![CDATA[<raw>]]></n:b><c/><d> e </d>\n"
			     "</a>",
			     &err),
	    0);
	assert_string_equal(
	    buf_str(&seen->text), "a/b@x=1\na/b=one & <two> A\na/b=<raw>\na/c=\na/d= e \na=\n");
}

static void
test_chunks(void **state)
{
	/* Longer than what is fed to the parser at a time, so that elements are cut in the middle.
	 */
	CLEANUP(buf_free) struct buf document = BUF_INIT(1 << 20);
	struct seen *seen = *state;
	struct err err;

	buf_puts(&document, "<a>");
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&document, "<b>%u</b>", i);
	buf_puts(&document, "</a>");
	assert_false(document.failed);
	assert_int_equal(walk(seen, buf_str(&document), &err), 0);
	assert_int_equal(seen->elements, 20001);
	assert_non_null(strstr(buf_str(&seen->text), "a/b=19999\na=\n"));
}

static void
test_nonsense(void **state)
{
	static const char *const documents[] = {
	    "",
	    "   ",
	    "<html><body>Bad Gateway<p></html>",
	    "<a><b>cut off",
	    "<a><b></b>",
	    "<a></b>",
	    "<a/><a/>",
	    "{\"json\":true}",
	    "<a>&undefined;</a>",
	    "<a>\x01</a>",
	    "<a>\xff\xfe</a>",
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		if (walk(*state, documents[i], &err) != -EPROTO)
			fail_msg("accepted: %s", documents[i]);
		assert_int_equal(err.code, -EPROTO);
		assert_non_null(strstr(err.msg, "XML"));
	}
}

static void
test_hostile(void **state)
{
	CLEANUP(buf_free) struct buf document = BUF_INIT(1 << 20);
	struct err err;

	/* Billion laughs, and a file of this machine. */
	assert_int_equal(
	    walk(*state, "<!DOCTYPE a [<!ENTITY l \"lol\"><!ENTITY m \"&l;&l;&l;\">]><a>&m;</a>",
		&err),
	    -EPROTO);
	assert_non_null(strstr(err.msg, "document type"));
	assert_int_equal(
	    walk(
		*state, "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>", &err),
	    -EPROTO);
	assert_non_null(strstr(err.msg, "document type"));

	for (unsigned i = 0; i <= XML_DEPTH_MAX; i++)
		buf_puts(&document, "<a>");
	assert_int_equal(walk(*state, buf_str(&document), &err), -EPROTO);
	assert_non_null(strstr(err.msg, "too deep"));

	buf_reset(&document);
	buf_puts(&document, "<");
	for (unsigned i = 0; i < XML_PATH_MAX; i++)
		buf_putc(&document, 'a');
	buf_puts(&document, "/>");
	assert_int_equal(walk(*state, buf_str(&document), &err), -EPROTO);
	assert_non_null(strstr(err.msg, "too deep"));

	buf_reset(&document);
	buf_puts(&document, "<a>");
	for (unsigned i = 0; i <= XML_TEXT_MAX; i++)
		buf_putc(&document, 'x');
	buf_puts(&document, "</a>");
	assert_int_equal(walk(*state, buf_str(&document), &err), -EPROTO);
	assert_non_null(strstr(err.msg, "too long"));
}

static void
test_stop(void **state)
{
	struct seen *seen = *state;
	struct err err;

	seen->stop_after = 2;
	assert_int_equal(walk(seen, "<a><b/><c/><d/></a>", &err), -ECANCELED);
	assert_string_equal(err.msg, "enough");
	assert_string_equal(buf_str(&seen->text), "a/b=\na/c=\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_walk, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_chunks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
