nexus_test(test_fabric_ofi SOURCES test_fabric_ofi.c DEPS nexus_fabric)
nexus_test(test_boot_wire SOURCES test_boot_wire.c DEPS nexus_fabric)
nexus_test(test_bootstrap SOURCES test_bootstrap.c DEPS nexus_fabric)
nexus_test(test_boot_auth SOURCES test_boot_auth.c DEPS nexus_fabric)
nexus_test(test_boot_secret SOURCES test_boot_secret.c DEPS nexus_fabric)

if(TARGET nexus_group)
    nexus_test(test_group SOURCES test_group.c DEPS nexus_group)
endif()
