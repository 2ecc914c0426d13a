nexus_test(test_store SOURCES test_store.c DEPS nexus_store)
nexus_test(test_categorizer_wire SOURCES test_categorizer_wire.c DEPS nexus_categorizer_wire)
