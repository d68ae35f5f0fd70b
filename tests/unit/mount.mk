# unit tests: mount; and the model test's program
unit_programs += tests/unit/test_extent
tests_unit_test_extent_SOURCES = tests/unit/test_extent.c tests/unit/check.h
tests_unit_test_extent_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)
unit_programs += tests/unit/test_feed
tests_unit_test_feed_SOURCES = tests/unit/test_feed.c tests/unit/check.h
tests_unit_test_feed_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=remote_stat -Wl,--wrap=remote_op
tests_unit_test_feed_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)
unit_programs += tests/unit/test_fiber
tests_unit_test_fiber_SOURCES = tests/unit/test_fiber.c tests/unit/check.h
tests_unit_test_fiber_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)
unit_programs += tests/unit/test_mount_options
tests_unit_test_mount_options_SOURCES = tests/unit/test_mount_options.c tests/unit/check.h
tests_unit_test_mount_options_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)
unit_programs += tests/unit/test_node
tests_unit_test_node_SOURCES = tests/unit/test_node.c tests/unit/check.h
tests_unit_test_node_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)
unit_programs += tests/unit/test_table
tests_unit_test_table_SOURCES = tests/unit/test_table.c tests/unit/check.h
tests_unit_test_table_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)
unit_programs += tests/unit/test_window
tests_unit_test_window_SOURCES = tests/unit/test_window.c tests/unit/check.h
tests_unit_test_window_LDADD = libmount_skyferry.a $(UNIT_LIBS) $(FUSE_LIBS)

check_PROGRAMS += tests/tools/fsmodel
tests_tools_fsmodel_SOURCES = tests/tools/fsmodel.c

check_PROGRAMS += tests/tools/hangfs
tests_tools_hangfs_SOURCES = tests/tools/hangfs.c
tests_tools_hangfs_LDADD = $(FUSE_LIBS)
