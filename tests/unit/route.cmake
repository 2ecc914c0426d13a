nexus_test(test_route SOURCES test_route.c DEPS nexus_route)
nexus_test(test_view_history SOURCES test_view_history.c DEPS nexus_route)
nexus_test(test_pb_status SOURCES test_pb_status.c DEPS nexus_pb)
