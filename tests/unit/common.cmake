foreach(name IN ITEMS status codec arena ring prng text utf8)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_common)
endforeach()
nexus_test(test_config SOURCES test_config.c DEPS nexus_config)
