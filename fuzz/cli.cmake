foreach(name IN ITEMS client_reply)
    nexus_fuzz(fuzz_${name} SOURCES fuzz_${name}.c DEPS nexus_client nexus_pb)
endforeach()
