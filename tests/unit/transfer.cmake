nexus_test(test_transfer SOURCES test_transfer.c DEPS nexus_transfer)
