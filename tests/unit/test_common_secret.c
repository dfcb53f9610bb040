/* Secrets in files: which files are taken, what of them, and what an error says. */
#include "common/secret.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>

#define SECRET "hunter2 = x"

static char why[512];

static void
put(const char *path, const char *text, size_t n, mode_t mode)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
assert_loads(const char *name, const char *given, const char *value)
{
	char *out;

	assert_err(secret_load(name, given, &out, why, sizeof(why)), KP_OK);
	assert_string_equal(out, value);
	secret_free(out);
}

/* The error has `text` in it, and not the secret. */
static void
assert_refused(const char *name, const char *given, const char *text)
{
	char *out;

	why[0] = '\0';
	assert_err(secret_load(name, given, &out, why, sizeof(why)), KP_EBADREQ);
	assert_null(out);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, why);
	assert_null(strstr(why, "hunter2"));
}

static void
test_which_properties_are_secret(void **state)
{
	static const char *const yes[] = {
		"sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password",
		"sasl.oauthbearer.client.secret", "sasl.oauthbearer.config",
		"producer.sasl.password", "consumer.ssl.key.password",
	};
	static const char *const no[] = {
		"", "sasl.username", "sasl.passwor", "sasl.password2", "producer.", "password",
		"admin.sasl.password", "producer.producer.sasl.password", "ssl.key.location",
		"client.id",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(secret_is(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(secret_is(no[i], strlen(no[i])));
}

static void
test_value_is_what_is_given_or_in_the_file(void **state)
{
	static const char pem[] = "-----BEGIN\nhunter2\n-----END\n";

	(void)state;
	assert_loads("sasl.password", SECRET, SECRET);
	assert_loads("sasl.password", "", "");
	assert_loads("sasl.password", "@@home", "@home");
	assert_loads("sasl.password", "@@", "@");
	put("s", SECRET "\n", sizeof(SECRET), 0600);
	assert_loads("sasl.password", "@s", SECRET);
	put("s", SECRET "\r\n\n", sizeof(SECRET) + 2, 0400);
	assert_loads("producer.sasl.password", "@s", SECRET);
	put("s", " @" SECRET " ", sizeof(SECRET) + 2, 0600);
	assert_loads("sasl.password", "@s", " @" SECRET " ");
	put("s", pem, sizeof(pem) - 1, 0600);
	assert_loads("ssl.key.pem", "@s", "-----BEGIN\nhunter2\n-----END");
	assert_refused("sasl.password", "@s", "more than one line");
}

static void
test_files_that_are_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0700, 0644, 0610, 04600 };
	static char large[SECRET_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(modes); i++) {
		put("s", SECRET, strlen(SECRET), modes[i]);
		assert_refused("sasl.password", "@s", "will not read s: others may read it: "
		    "chmod 600");
	}
	assert_refused("sasl.password", "@nothing", "cannot read nothing: No such file");
	assert_refused("sasl.password", "@", "cannot read : No such file");
	put("s", SECRET, strlen(SECRET), 0600);
	unlink("link");
	assert_int_equal(symlink("s", "link"), 0);
	assert_refused("sasl.password", "@link", "cannot read link: it is a symbolic link");
	unlink("pipe");
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_refused("sasl.password", "@pipe", "it is no regular file");
	assert_refused("sasl.password", "@.", "it is no regular file");
	put("s", "", 0, 0600);
	assert_refused("sasl.password", "@s", "it is empty");
	put("s", "\n\n", 2, 0600);
	assert_refused("sasl.password", "@s", "it is empty");
	put("s", "hunter2\0x", 9, 0600);
	assert_refused("sasl.password", "@s", "it has a NUL in it");
	memset(large, 'x', sizeof(large));
	put("s", large, sizeof(large), 0600);
	assert_refused("sasl.password", "@s", "too large");
	put("s", large, sizeof(large) - 1, 0600);
	large[sizeof(large) - 1] = '\0';
	assert_loads("sasl.password", "@s", large);
}

static void
test_file_of_another_user_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put("s", SECRET, strlen(SECRET), 0600);
	assert_int_equal(chown("s", 65534, 0), 0);
	assert_refused("sasl.password", "@s", "it belongs to another user");
}

static void
test_command_line_keeps_no_secret(void **state)
{
	static const struct {
		const char *word, *next;
		const char *shown, *next_shown;
	} cases[] = {
		{ "-X=sasl.password=abc", "x", "-X=sasl.password=***", "x" },
		{ "--X", "producer.ssl.key.password=@@a", "--X",
		    "producer.ssl.key.password=***" },
		{ "-X", "sasl.password=@/file", "-X", "sasl.password=@/file" },
		{ "-X", "sasl.password=", "-X", "sasl.password=" },
		{ "-X", "sasl.username=abc", "-X", "sasl.username=abc" },
		{ "-Xsasl.password=abc", "X", "-Xsasl.password=abc", "X" },
		{ "X", "sasl.password=abc", "X", "sasl.password=abc" },
		{ "-store", "-X", "-store", "-X" },
	};
	char word[64], next[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *argv[] = { next, word, next };
		bool changed = strcmp(cases[i].word, cases[i].shown) != 0 ||
		    strcmp(cases[i].next, cases[i].next_shown) != 0;

		snprintf(word, sizeof(word), "%s", cases[i].word);
		snprintf(next, sizeof(next), "%s", cases[i].next);
		assert_int_equal(secret_hide_args(3, argv), changed);
		assert_string_equal(word, cases[i].shown);
		assert_string_equal(next, cases[i].next_shown);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_properties_are_secret),
		cmocka_unit_test(test_value_is_what_is_given_or_in_the_file),
		cmocka_unit_test(test_files_that_are_refused),
		cmocka_unit_test(test_file_of_another_user_is_refused),
		cmocka_unit_test(test_command_line_keeps_no_secret),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
