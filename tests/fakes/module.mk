# A server that misbehaves, and how: one scenario a file.
dist_noinst_SCRIPTS += tests/fakes/s3.py tests/fakes/as-cloud.sh
EXTRA_DIST += tests/fakes/module.mk tests/fakes/lib.mjs \
	tests/fakes/azure.mjs \
	tests/fakes/dropbox.mjs tests/fakes/dropbox_sdk.mjs \
	tests/fakes/gcs.mjs tests/fakes/gcs_sdk.mjs \
	tests/fakes/gdrive.mjs tests/fakes/gdrive_sdk.mjs \
	tests/fakes/meter.mjs \
	tests/fakes/sdk/package.json tests/fakes/sdk/package-lock.json \
	tests/fakes/scenarios/babble.txt \
	tests/fakes/scenarios/cancel.txt \
	tests/fakes/scenarios/close-answer.txt \
	tests/fakes/scenarios/cut-xml.txt \
	tests/fakes/scenarios/damage-read-without-end.txt \
	tests/fakes/scenarios/damage-read.txt \
	tests/fakes/scenarios/damage-write-without-end.txt \
	tests/fakes/scenarios/damage-write.txt \
	tests/fakes/scenarios/error-in-200-without-end.txt \
	tests/fakes/scenarios/error-in-200.txt \
	tests/fakes/scenarios/forget-always.txt \
	tests/fakes/scenarios/forget-at-end.txt \
	tests/fakes/scenarios/forget.txt \
	tests/fakes/scenarios/headers.txt \
	tests/fakes/scenarios/garbled-once.txt \
	tests/fakes/scenarios/hostile-bomb.txt \
	tests/fakes/scenarios/hostile-deep.txt \
	tests/fakes/scenarios/hostile-endless.txt \
	tests/fakes/scenarios/hostile-name.txt \
	tests/fakes/scenarios/hostile-text.txt \
	tests/fakes/scenarios/keys.txt \
	tests/fakes/scenarios/long-answer.txt \
	tests/fakes/scenarios/long-object.txt \
	tests/fakes/scenarios/lost-answer-error.txt \
	tests/fakes/scenarios/lost-answer-stall.txt \
	tests/fakes/scenarios/lost-answer.txt \
	tests/fakes/scenarios/lost-begin-without-end.txt \
	tests/fakes/scenarios/no-range.txt \
	tests/fakes/scenarios/redirect.txt \
	tests/fakes/scenarios/removals-lost.txt \
	tests/fakes/scenarios/removals-spared.txt \
	tests/fakes/scenarios/removals-unknown.txt \
	tests/fakes/scenarios/removals.txt \
	tests/fakes/scenarios/reset-answer.txt \
	tests/fakes/scenarios/reset-request.txt \
	tests/fakes/scenarios/short-object.txt \
	tests/fakes/scenarios/source-changes-midway.txt \
	tests/fakes/scenarios/source-changes.txt \
	tests/fakes/scenarios/source-goes.txt \
	tests/fakes/scenarios/stall-without-end.txt \
	tests/fakes/scenarios/stall.txt \
	tests/fakes/scenarios/storm-of-all.txt \
	tests/fakes/scenarios/storm-retry-after.txt \
	tests/fakes/scenarios/storm-without-end.txt \
	tests/fakes/scenarios/storm.txt \
	tests/fakes/scenarios/wrong-etag.txt \
	tests/fakes/scenarios/wrong-range.txt
