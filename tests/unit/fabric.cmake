nexus_test(test_fabric_ofi SOURCES test_fabric_ofi.c DEPS nexus_fabric)
