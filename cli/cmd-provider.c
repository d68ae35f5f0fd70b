#include "cli/providers.h"
#include <stdio.h>

static void
print_provider(const json_t *provider)
{
	const json_t *field;
	size_t i;

	printf("%s: %s\n", json_str(provider, "name"), json_str(provider, "title"));
	json_array_foreach (json_object_get(provider, "fields"), i, field) {
		const char *value = json_str(field, "default"), *help = json_str(field, "help");

		printf("  %-18s %s", json_str(field, "name"), json_str(field, "title"));
		if (json_flag(field, "required"))
			printf(", required");
		if (json_flag(field, "secret"))
			printf(", secret");
		if (value[0] != '\0')
			printf(", default %s", value);
		putchar('\n');
		if (help[0] != '\0')
			printf("  %-18s %s\n", "", help);
	}
}

int
cmd_provider_list(struct cli *cli, struct args *args)
{
	struct err err = ERR_INIT;
	json_t *providers = NULL, *provider;
	size_t i;

	if (providers_load(cli, &providers, &err) < 0)
		return cli_fail(&err);
	if (args_has(args, "json")) {
		cli_print_json(providers);
		return EXIT_OK;
	}
	json_array_foreach (providers, i, provider) {
		if (i > 0)
			putchar('\n');
		print_provider(provider);
	}
	json_decref(providers);
	return EXIT_OK;
}
