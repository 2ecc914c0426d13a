foreach(name IN ITEMS dur_restart dur_model)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_restart)
endforeach()
nexus_test(test_durable SOURCES test_durable.c DEPS nexus_durable)
