# integration tests
integration_tests += tests/integration/cli.bats
sanitized_tests += tests/integration/cli.bats
integration_tests += tests/integration/api.bats
sanitized_tests += tests/integration/api.bats
integration_tests += tests/integration/mount.bats
sanitized_tests += tests/integration/mount.bats
integration_tests += tests/integration/crash.bats
sanitized_tests += tests/integration/crash.bats
integration_tests += tests/integration/faults.bats
sanitized_tests += tests/integration/faults.bats
s3_tests += tests/unit/test_conformance tests/integration/s3.bats
integration_tests += tests/integration/mount_limits.bats
sanitized_tests += tests/integration/mount_limits.bats
integration_tests += tests/integration/mount_races.bats
sanitized_tests += tests/integration/mount_races.bats
thread_tests += tests/integration/api.bats tests/integration/cli.bats tests/integration/crash.bats
full_tests += tests/integration/mount_crash.bats tests/integration/mount_users.bats
