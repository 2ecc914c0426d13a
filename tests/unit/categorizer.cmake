nexus_test(test_store SOURCES test_store.c DEPS nexus_store)
nexus_test(test_manifest SOURCES test_manifest.c DEPS nexus_store)
nexus_test(test_categorizer_wire SOURCES test_categorizer_wire.c DEPS nexus_categorizer_wire)
nexus_test(test_ordered SOURCES test_ordered.c DEPS nexus_categorizer)
nexus_test(test_incoming SOURCES test_incoming.c DEPS nexus_categorizer)

nexus_test(test_profile SOURCES test_profile.c DEPS nexus_batcher)
nexus_test(test_batcher SOURCES test_batcher.c DEPS nexus_batcher m)
nexus_test(test_device SOURCES test_device.c DEPS nexus_categorizer)
nexus_test(test_served SOURCES test_served.c DEPS nexus_categorizer m)
nexus_test(test_served_tensors SOURCES test_served_tensors.c DEPS nexus_categorizer)
nexus_test(test_replicas SOURCES test_replicas.c DEPS nexus_categorizer)
# Several replicas in one process load with oneDNN at once.
if(TEST test_replicas)
    set_property(TEST test_replicas APPEND PROPERTY ENVIRONMENT
        "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lib/tsan.supp")
endif()
