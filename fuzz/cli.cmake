foreach(name IN ITEMS client_wire)
    nexus_fuzz(fuzz_${name} SOURCES fuzz_${name}.c DEPS nexus_client)
endforeach()
