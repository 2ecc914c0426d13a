nexus_test(test_route SOURCES test_route.c DEPS nexus_route)
