/*
 * gdrive_bench: driver_bench.h for the gdrive driver: its URLs, and what the service answers.
 */
#pragma once
#include "providers/gdrive_private.h"
#include "tests/unit/driver_bench.h"

#define GRANT   "\"clientId\":\"id\",\"clientSecret\":\"hush\",\"refreshToken\":\"hush\""
#define ACCOUNT "{" GRANT ",\"endpoint\":\"https://host\",\"rootFolder\":\"top\"}"
#define HOST    "https://host"
#define FILES   HOST "/drive/v3/files"
#define UPLOADS HOST "/upload/drive/v3/files"
#define ONE     "?fields=" GDRIVE_FIELDS "&supportsAllDrives=true"
#define SESSION UPLOADS "?uploadType=resumable&upload_id=xyz"
#define LISTED  "?fields=nextPageToken,files(" GDRIVE_FIELDS ")&includeItemsFromAllDrives=true"
#define IN(dir) "%27" dir "%27%20in%20parents%20and%20trashed%20%3D%20false"
#define NAMED(dir, name)                                                                           \
	FILES LISTED "&pageSize=1000&q=" IN(dir) "%20and%20(name%20%3D%20%27" name                 \
						 "%27)&supportsAllDrives=true"
#define CHILDREN(dir, size) FILES LISTED "&pageSize=" size "&q=" IN(dir) "&supportsAllDrives=true"
#define MD5                 "900150983cd24fb0d6963f7d28e17f72"
#define FOLDER(id, name, parent)                                                                   \
	"{\"id\":\"" id "\",\"name\":\"" name                                                      \
	"\",\"mimeType\":\"application/vnd.google-apps.folder\",\"parents\":[\"" parent            \
	"\"],\"createdTime\":\"2001-01-01T00:00:00.000Z\"}"
#define FILE_MORE(id, name, parent, created, more)                                                 \
	"{\"id\":\"" id "\",\"name\":\"" name                                                      \
	"\",\"mimeType\":\"text/plain\",\"parents\":[\"" parent "\"],\"createdTime\":\"" created   \
	"\",\"modifiedTime\":\"2013-05-24T00:00:00.123Z\",\"size\":\"3\",\"md5Checksum\":\"" MD5   \
	"\"" more "}"
#define REVISION                  ",\"headRevisionId\":\"rev1\",\"capabilities\":{\"canReadRevisions\":true}"
#define FILE_OF(id, name, parent) FILE_MORE(id, name, parent, "2001-01-01T00:00:00.000Z", REVISION)
#define PAGE(files)               "{\"files\":[" files "]}"
#define REFUSED(reason)                                                                            \
	"{\"error\":{\"code\":1,\"message\":\"words\",\"errors\":[{\"reason\":\"" reason "\"}]}}"

void bench_open(struct bench *, const char *credentials);
void bench_at_top(struct bench *); /* opened, and the account's top is known */
/* The next request, whatever it is. */
enum cloud_step bench_request(struct bench *);
/* The request's body, as JSON. */
void expect_body(const struct bench *, const char *json);
/* The next request is a search, which finds nothing. */
void find_none(struct bench *, const char *url);
/* The name of a list's entry; "": it has not so many. */
const char *listed(const struct bench *, size_t i);
